// All records of an input, given back in shuffled order, whatever their number: in memory while they fit
// there, else in sorted runs on disk that are merged.
#pragma once

#include "data/prepare/runs.h"
#include "esmscale/core/thread_pool.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace esmscale::data {

class ShuffledRecords {
 public:
  // `memory`: bytes of records held at a time. `folder` takes the runs; they are removed in the end.
  ShuffledRecords(std::filesystem::path folder, KeyOf key_of, uint64_t memory, ThreadPool& workers);
  ~ShuffledRecords();
  ShuffledRecords(const ShuffledRecords&) = delete;
  ShuffledRecords& operator=(const ShuffledRecords&) = delete;

  // Ordinals ascend. Error when one record alone is larger than the memory.
  void add(const RecordView& record);

  // Every record in the order of (key, ordinal); once, after the last add().
  void for_each(const std::function<void(const RecordView&)>& visit);

  uint64_t spilled_bytes() const { return spilled_; }                   // on disk, written in all
  uint64_t held_bytes() const { return static_cast<uint64_t>(used_); }  // in memory now

 private:
  struct Entry;
  void sort();
  RecordView view(const Entry& entry) const;
  void spill();
  void merge_into_one();
  std::filesystem::path next_run();
  void remove_runs();

  std::filesystem::path folder_;
  KeyOf key_of_;
  ThreadPool& workers_;
  size_t capacity_, chunk_bytes_;
  std::unique_ptr<std::byte[]>
      arena_;               // records from the front, entries from the back; pages are taken when used
  size_t used_ = 0;         // by records
  Entry* begin_ = nullptr;  // of the entries
  Entry* end_ = nullptr;
  std::vector<std::filesystem::path> runs_;
  uint64_t runs_made_ = 0;
  uint64_t spilled_ = 0;
};

}  // namespace esmscale::data
