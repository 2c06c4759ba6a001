// A deep mutational scan: variants of one protein and their measurements, in ProteinGym's format: a CSV
// with `mutant` ("A24G", several joined by ":"), `mutated_sequence`, `DMS_score`, `DMS_score_bin`.
#pragma once

#include "esmscale/core/csv.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace esmscale::assays {

struct Substitution {
  int64_t position = 0;      // within the target, from 0
  uint8_t from = 0, to = 0;  // letter codes

  bool operator==(const Substitution&) const = default;
};

struct Variant {
  std::vector<Substitution> substitutions;  // by position; empty for the target itself
  std::vector<uint8_t> residues;            // of a variant with another length than the target; else empty

  bool changes_length() const { return !residues.empty(); }
};

struct Assay {
  std::string name;             // the file's, without its ending
  CsvTable table;               // as it was read; row i is variant i
  std::vector<uint8_t> target;  // letter codes
  std::vector<Variant> variants;
  std::vector<double> measured;  // DMS_score, higher is fitter; empty without that column
  std::vector<uint8_t> is_fit;   // DMS_score_bin, 1 is fit; empty without that column
  std::string hash;  // of target, variants and measurements, in their order: equal for the same data
};

struct AssayOptions {
  std::string mutant_column = "mutant", sequence_column = "mutated_sequence", measured_column = "DMS_score",
              bin_column = "DMS_score_bin";
  bool needs_measured = false;  // the user named the column, or a result depends on it
  int64_t offset = 0;           // the target's first residue is number offset + 1 in `mutant`
};

// A variant is read from `mutant`, or from `mutated_sequence` where that column is absent or has another
// length than the target (insertions and deletions); where both are there they must agree. All rows are
// checked: an Error names the first bad one, with what was expected and found there: a wild-type letter that
// the target does not have at that position (with the offset that would make all of them agree, if there is
// one), a position out of range, an unknown letter, a variant twice, a score that is no number, no variance,
// no rows, no column.
Assay read_assay(const std::filesystem::path& file, std::vector<uint8_t> target, const AssayOptions& options);

// The target of an assay that names none: the only record of the FASTA file of the same name next to it, else
// the first row's sequence with its substitutions undone. Error when neither is there.
std::vector<uint8_t> find_target(const std::filesystem::path& file, const AssayOptions& options = {});

// The only record of the FASTA file of this name; where there is none, the residues themselves. Usage error
// (--sequence) when it is neither.
std::vector<uint8_t> target_from(const std::string& fasta_or_residues);

// The table with columns added, which must not be there yet; values[c][i] is that of row i, in full
// precision.
std::string with_columns(const CsvTable& table, std::span<const std::string> columns,
                         std::span<const std::vector<double>> values);

}  // namespace esmscale::assays
