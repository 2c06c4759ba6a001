// Sorts more (hash, number) pairs than fit in memory.
#pragma once

#include "esmscale/core/files/files.h"
#include "esmscale/data/dataset/format.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace esmscale::data {

// Full buffers are sorted and written to files of their own, which are merged at the end.
class FingerprintSorter {
 public:
  // `stem` names the temporary files (stem.0, stem.1, …); they are removed when they have been read.
  FingerprintSorter(std::filesystem::path stem, uint64_t memory);
  ~FingerprintSorter();
  FingerprintSorter(const FingerprintSorter&) = delete;
  FingerprintSorter& operator=(const FingerprintSorter&) = delete;

  void add(const Fingerprint& fingerprint);

  // Every pair, ascending by (hash, number); once, after the last add(). Gives the memory back.
  void for_each(const std::function<void(const Fingerprint&)>& visit);

  uint64_t spilled_bytes() const { return spilled_; }  // on disk, written in all

 private:
  void spill();
  std::filesystem::path run_path(size_t run) const;

  std::filesystem::path stem_;
  size_t capacity_;
  size_t runs_ = 0;
  uint64_t spilled_ = 0;
  std::vector<Fingerprint> buffer_;
};

}  // namespace esmscale::data
