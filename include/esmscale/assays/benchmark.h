// ProteinGym: its reference table, and the averages that it reports (performance_DMS_benchmarks.py of
// OATML-Markslab/ProteinGym).
#pragma once

#include "esmscale/assays/result.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace esmscale::assays {

// A row of the reference table.
struct BenchmarkEntry {
  std::string id, protein, selection_type;  // DMS_id, UniProt_ID, coarse_selection_type
  std::string depth, taxon;  // MSA_Neff_L_category ("Low", "Medium", "High") and taxon; "": not stated
  std::filesystem::path file;
  std::vector<uint8_t> target;
};

// The table of a folder: `reference`, or the only CSV with the columns DMS_id and DMS_filename in the folder
// or in its reference_files; of several DMS_substitutions.csv. Assays are files of the folder or of a folder
// in it. Error: no table or several, a missing column, an identifier twice, files that are not there (all are
// named).
std::vector<BenchmarkEntry> read_benchmark(const std::filesystem::path& folder,
                                           const std::filesystem::path& reference = {});

// Means of a group. NaN: no assay of it has the figure.
struct GroupMean {
  RankEstimate spearman{kUnknown,
                        kUnknown};  // error: standard deviation over bootstrap samples of its proteins
  double ndcg = kUnknown, auc = kUnknown;
  int64_t proteins = 0;  // that have a coefficient
};

// Assays of one protein are averaged first, then the proteins of a group. The average of all is the mean of
// the selection types, and so is its bootstrap, whose samples are drawn within each type. Assays without a
// depth or a taxon are in no group of that kind; figures of NaN count for nothing. The error of a
// group of one protein is NaN, and so is that of all where a selection type has only one. results[i] is of
// entries[i].
struct BenchmarkAverages {
  GroupMean all;
  std::map<std::string, GroupMean> by_selection_type, by_depth, by_taxon;
};
BenchmarkAverages averages_of(std::span<const BenchmarkEntry> entries, std::span<const AssayResult> results,
                              const BootstrapDraws& bootstrap);

// "averages" of `score --json`: spearman, spearman_error, ndcg, auc and proteins of all assays, and the same
// by group under selection_type, msa_depth and taxon.
Json to_json(const BenchmarkAverages& averages);

}  // namespace esmscale::assays
