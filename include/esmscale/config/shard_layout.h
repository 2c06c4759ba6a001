// How the flat buffers are divided among ranks. Parameters travel in buckets of consecutive table rows; each
// rank owns one chunk of every bucket, so that a bucket can be reduce-scattered as soon as backward has
// completed it. Pure arithmetic.
#pragma once

#include "esmscale/config/parameters.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace esmscale::config {

// [begin, begin + size) of a flat buffer.
struct FlatRange {
  int64_t begin = 0, size = 0;
  int64_t end() const { return begin + size; }
  bool operator==(const FlatRange&) const = default;
};

// What two ranges share; of size 0 when they do not meet.
FlatRange intersection(const FlatRange& a, const FlatRange& b);

// A row of the parameter table, or the part of it that lies in some range.
struct RowPart {
  size_t row = 0;
  FlatRange range;  // of the flat buffers
};
// In the table's order; parts of no size are left out.
std::vector<RowPart> rows_in(const std::vector<Parameter>& table, const FlatRange& range);

struct Bucket {
  size_t first_row = 0, end_row = 0;  // of the parameter table
  FlatRange range;
  int64_t chunk = 0;  // floats of one rank: ranks · chunk ≥ range.size, and the rest is padding
};

class ShardLayout {
 public:
  // One rank: one bucket, nothing padded. Several: the embedding alone (its gradient is complete last), then
  // buckets of whole rows that hold bucket_floats or a little more; 0: a sixteenth of the model, at most
  // kBucketBytesPerRank for each rank within the two bounds.
  ShardLayout(const std::vector<Parameter>& table, int ranks, int64_t bucket_floats = 0);

  static constexpr int64_t kBucketBytesPerRank = 4 << 20, kLeastBucketBytes = 25 << 20,
                           kMostBucketBytes = 160 << 20;

  int ranks() const { return ranks_; }
  const std::vector<Bucket>& buckets() const { return buckets_; }
  size_t bucket_of(size_t row) const { return bucket_of_row_[row]; }

  // The part of a bucket that a rank owns: may be empty; the last ranks own less.
  FlatRange owned(const Bucket& bucket, int rank) const;
  // The parts of all buckets that a rank owns, and those that it updates (ZeRO stage 0: everything), in
  // order; empty parts are included.
  std::vector<FlatRange> owned(int rank) const;
  std::vector<FlatRange> updated(int rank, int zero_stage) const;

 private:
  int ranks_;
  std::vector<Bucket> buckets_;
  std::vector<size_t> bucket_of_row_;
};

}  // namespace esmscale::config
