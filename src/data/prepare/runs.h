// Sorted runs of records on disk, zstd-compressed: what prepare spills when the data do not fit in memory.
#pragma once

#include "esmscale/core/files/files.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace esmscale::data {

struct RecordView {
  uint64_t ordinal;  // in the input
  std::string_view identifier;
  std::span<const uint8_t> residues;
  uint64_t key = 0;  // records are given back in the order of (key, ordinal)
};

// The key of a record that is read back from a run; a pure function.
using KeyOf = std::function<uint64_t(uint64_t ordinal, std::string_view identifier)>;

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
  // Keys are not in the file: 8 bytes of noise for each record.
  RunReader(std::filesystem::path path, const KeyOf& key_of);

  bool at_end() const { return next_ == ordinals_.size(); }
  RecordView head() const;  // valid until advance()
  void advance();

 private:
  void load();
  void find_key();

  std::filesystem::path path_;
  std::ifstream in_;
  const KeyOf& key_of_;
  uint64_t key_ = 0;  // of the head
  size_t next_ = 0, identifier_at_ = 0, residues_at_ = 0;
  std::vector<uint64_t> ordinals_;
  std::vector<uint32_t> identifier_bytes_, residue_counts_;
  std::vector<char> identifiers_;
  std::vector<uint8_t> residues_;
};

// The records of all runs in the order of (key, ordinal).
void merge_runs(const std::vector<std::filesystem::path>& runs, const KeyOf& key_of,
                const std::function<void(const RecordView&)>& visit);

}  // namespace esmscale::data
