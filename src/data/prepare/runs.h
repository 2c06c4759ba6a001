// Sorted runs of records on disk, zstd-compressed: what prepare spills when the data do not fit in memory.
#pragma once

#include "esmscale/core/files.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace esmscale::data {

struct RecordView {
  uint64_t ordinal;  // in the input
  std::string_view identifier;
  std::span<const uint8_t> residues;
};

// Seed of the shuffle; without one, records keep the order of the input.
using ShuffleSeed = std::optional<uint64_t>;

// The key by which records are sorted: the shuffle's key of an ordinal, or the ordinal itself.
uint64_t shuffle_key(ShuffleSeed seed, uint64_t ordinal);

// Records next to each other in a run, in columns: letters compress better among letters.
class ChunkBuilder {
 public:
  void add(const RecordView& record);
  bool empty() const { return ordinals_.empty(); }
  size_t bytes() const { return identifiers_.size() + residues_.size() + 16 * ordinals_.size(); }
  std::vector<std::byte> encode() const;  // a chunk as it is stored in a run
  void clear();

 private:
  std::vector<uint64_t> ordinals_;
  std::vector<uint32_t> identifier_bytes_, residue_counts_;
  std::vector<char> identifiers_;
  std::vector<uint8_t> residues_;
};

// Reads a run from front to back, holding one chunk.
class RunReader {
 public:
  RunReader(std::filesystem::path path, ShuffleSeed seed);

  bool at_end() const { return next_ == ordinals_.size(); }
  uint64_t key() const { return key_; }
  RecordView head() const;  // valid until advance()
  void advance();

 private:
  void load();

  std::filesystem::path path_;
  std::ifstream in_;
  ShuffleSeed seed_;
  uint64_t key_ = 0;
  size_t next_ = 0, identifier_at_ = 0, residues_at_ = 0;
  std::vector<uint64_t> ordinals_;
  std::vector<uint32_t> identifier_bytes_, residue_counts_;
  std::vector<char> identifiers_;
  std::vector<uint8_t> residues_;
};

// The records of all runs in the order of (key, ordinal).
void merge_runs(const std::vector<std::filesystem::path>& runs, ShuffleSeed seed,
                const std::function<void(const RecordView&)>& visit);

}  // namespace esmscale::data
