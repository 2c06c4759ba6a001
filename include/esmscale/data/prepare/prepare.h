// FASTA → a data set: read, filtered, shuffled in bounded memory, written, published when complete.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"
#include "esmscale/data/fasta/fasta.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::data {

struct PrepareOptions {
  std::vector<std::string> inputs;  // plain, gzip or zstd; "-" is the standard input
  SequenceColumns columns{};        // of inputs that are tables
  std::filesystem::path output;
  uint64_t seed = 1;                // shuffle seed
  bool keep_order = false;          // no shuffle: the input is already in the random order of `seed`
  std::filesystem::path exclude{};  // identifiers to leave out, one a line; empty: none
  bool allow_missing = false;  // no error when no record has an identifier of `exclude`, or of `clusters`
  // Table of clusters and members; an epoch trains one member of each (docs/formats.md); empty: none.
  std::filesystem::path clusters{};
  int64_t holdout = 0;  // the last N sequences, or clusters, in shuffled order go to holdout_output
  std::filesystem::path holdout_output{};
  int64_t limit = 0;           // then the first N (clusters, where there are some) are kept; 0: all
  int64_t min_length = 1;      // residues
  int64_t eval_length = 1022;  // residues of an evaluation window
  bool deduplicate = false;    // identical residues once: the first in the input stays
  int64_t memory = 1 << 30;    // bytes the process may hold; nothing of the output depends on it
  int threads = 1;             // for compression; reading and decompressing take one more
  bool force = false;          // replace an existing data set
  // For tests: bytes for records and sorting, instead of what `memory` leaves; other frames and shards.
  int64_t working_memory = 0;
  FrameRule rule{};
};

struct PrepareSummary {
  DatasetManifest train;
  std::optional<DatasetManifest> holdout;
  int64_t records = 0;                // of the input
  NamedCounts counts{};               // the same, and each corner case (docs/formats.md)
  std::vector<std::string> warnings;  // logged already
  int64_t input_bytes = 0;            // as stored
  int64_t text_bytes = 0;             // of FASTA, decompressed
  int64_t temporary_bytes = 0;        // written besides the output, and removed
  double seconds = 0;
};

// Sequences are ordered by the key Philox(seed, shuffle, ordinal in the input), ties by ordinal: a prefix of
// the data set is a random sample. With clusters the subject of the key is the XXH3-64 of the cluster's name,
// so members lie together; a record that the table does not have is a cluster of its own. A holdout gets one
// member of each of its clusters, the one the cluster is named after or else the first in the input. On
// failure the output folders are as they were before. Usage errors name the flag; a limit or holdout larger
// than the set is an Error.
PrepareSummary prepare(const PrepareOptions& options);

// Publishes the manifest of `folder` again with "holdout_report" set, and `split` replaced by the report's
// if it has one. The data set's hash stays. Error unless the report names the `training_hash` and the
// `largest_identity` to it, in 0 to 1, which label every result (docs/formats.md).
void attach_holdout_report(const std::filesystem::path& folder, const Json& report);

}  // namespace esmscale::data
