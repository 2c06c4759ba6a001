// A prepared data set: token shards, lengths, identifiers, fingerprints and a manifest (docs/formats.md).
// "Sequence" is everywhere an index in the data set's shuffled order.
#pragma once

#include "esmscale/core/json.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace esmscale::data {

struct DatasetManifest {
  int64_t sequences = 0;
  int64_t residues = 0;
  int64_t clusters = 0;    // 0: sequences belong to none
  int64_t tokens = 0;      // residues + 2 a sequence, nothing cropped
  int64_t max_length = 0;  // residues of the longest sequence
  int64_t shards = 0;
  int64_t bytes = 0;
  uint64_t seed = 0;           // shuffle seed; a holdout's masks and windows are fixed by it too
  int64_t eval_length = 1022;  // residues of an evaluation window
  std::array<int64_t, 25> residue_counts{};  // by letter code
  double unigram_entropy = 0;                // H of the 20 standard letters, nats
  double baseline_loss =
      0;              // frequency-only loss of BERT's pattern at p = 0.15, nats (docs/science.md, section 3)
  std::string hash;   // hash of the manifest's content part: the data set's identity, whatever its path
  std::string split;  // how a holdout was made: "random split, homologues present", …; "" for a training set
};

// Entropy and BERT-pattern frequency-only loss of the 20 standard letters (science.md, section 3), nats.
double unigram_entropy(std::span<const int64_t> residue_counts);
double bert_baseline_loss(std::span<const int64_t> residue_counts);

// Sequences that are neighbours in the data set's order: first, …, first + count − 1.
struct SequenceRange {
  int64_t first = 0, count = 0;
};

// As pread(2): bytes read, 0 at the end of the file, −1 with errno set. Tests put delays and faults here.
using ReadBytes = std::function<int64_t(int descriptor, std::span<std::byte> into, uint64_t offset)>;

class Dataset {
 public:
  // Reads the manifest and maps lengths and index; no sequence is read. Errors name the file and what is
  // wrong: missing, truncated, another version, a checksum that does not hold, a file that belongs to another
  // set. Frames are read with `read` (pread when empty); a failed read is tried again, with a warning, before
  // it is an Error.
  explicit Dataset(const std::filesystem::path& folder, ReadBytes read = {});
  ~Dataset();
  Dataset(Dataset&&) noexcept;

  const DatasetManifest& manifest() const;
  // The manifest as it is on disk: "provenance" (inputs, counts per corner case), "holdout_report",
  // "files".
  const Json& document() const;
  const std::filesystem::path& folder() const;
  int64_t sequences() const { return manifest().sequences; }
  std::span<const uint32_t> lengths() const;  // residues of each sequence, mapped

  // What an epoch trains: one sequence of each cluster, or every sequence where there are no clusters.
  // `data.sequences` counts these.
  int64_t epoch_sequences() const { return manifest().clusters > 0 ? manifest().clusters : sequences(); }
  // The sequences of cluster i, of which an epoch trains one; without clusters, sequence i. Error for an
  // i that is not below epoch_sequences(), and where the file of clusters is damaged.
  SequenceRange cluster(int64_t i) const;

  // Re-reads every byte of every file against its checksum; the first that does not hold is an Error.
  void verify() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// Reads sequences; one per thread. Keeps the few frames it decoded last, so neighbours cost nothing.
class SequenceReader {
 public:
  explicit SequenceReader(const Dataset& dataset);  // which must outlive it
  ~SequenceReader();

  // Letter codes of one sequence; valid until the next call. An Error names shard and frame when a checksum
  // fails.
  std::span<const uint8_t> residues(int64_t sequence);
  std::string identifier(int64_t sequence);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Number of sequences of `holdout` that also occur (same residues) in what an epoch of the first
// `epoch_sequences` of `train` may train, and the identifiers of the first few.
struct Overlap {
  int64_t count = 0;
  std::vector<std::string> examples{};
};
Overlap find_overlap(const Dataset& holdout, const Dataset& train, int64_t epoch_sequences);

}  // namespace esmscale::data
