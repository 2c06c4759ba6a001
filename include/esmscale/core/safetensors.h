// The safetensors format (github.com/huggingface/safetensors): 8 bytes of header length, a JSON header,
// tensor bytes. Reading is mapped and bounds-checked; a hostile file gives an Error, never a crash. No Torch
// here.
#pragma once

#include "esmscale/core/files/files.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace esmscale {

struct TensorEntry {
  std::string name;
  std::string dtype;  // "F32", "F16", "BF16", "F64", "I64", …
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes within the data section

  int64_t elements() const;
};

// A header for tensors stored one after the other in the given order (begin and end are filled in), padded so
// that the data section starts at a multiple of 64 bytes. Returns the bytes that precede the data section.
// Error when a name comes twice or a dtype is unknown.
std::string safetensors_header(std::vector<TensorEntry>& entries,
                               const std::map<std::string, std::string>& metadata);

class SafetensorsFile {
 public:
  // Error when the header or an entry is not right: too long, not JSON, a name twice, unknown dtype, a shape
  // whose product overflows, offsets that overlap, leave gaps, or point past the end.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<TensorEntry>& entries() const { return entries_; }  // by offset
  const TensorEntry* find(const std::string& name) const;               // null when absent
  std::span<const std::byte> bytes(const TensorEntry& entry) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  uint64_t data_offset() const { return data_offset_; }  // where the data section begins in the file

 private:
  MappedFile file_;
  std::vector<TensorEntry> entries_;
  std::unordered_map<std::string, size_t> index_;  // into entries_, by name
  std::map<std::string, std::string> metadata_;
  uint64_t data_offset_ = 0;
};

}  // namespace esmscale
