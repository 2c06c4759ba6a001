#include "esmscale/config/shard_layout.h"

#include <algorithm>

namespace esmscale::config {
namespace {

constexpr int64_t kAlignment = 16;  // floats: chunks begin on a cache line

// A ring of n ranks takes n − 1 hops for each bucket, whatever its size: more ranks want larger buckets.
int64_t default_bucket_floats(const std::vector<Parameter>& table, int ranks) {
  const int64_t bytes = std::clamp(ranks * ShardLayout::kBucketBytesPerRank, ShardLayout::kLeastBucketBytes,
                                   ShardLayout::kMostBucketBytes);
  return std::clamp<int64_t>(total_size(table) / 16, 1, bytes / static_cast<int64_t>(sizeof(float)));
}

int64_t chunk_of(int64_t size, int ranks) {
  const int64_t unit = ranks * kAlignment;
  return (size + unit - 1) / unit * kAlignment;
}

}  // namespace

FlatRange intersection(const FlatRange& a, const FlatRange& b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max<int64_t>(0, std::min(a.end(), b.end()) - begin)};
}

std::vector<RowPart> rows_in(const std::vector<Parameter>& table, const FlatRange& range) {
  std::vector<RowPart> parts;
  for (size_t row = 0; row < table.size(); ++row)
    if (const FlatRange shared = intersection(range, {table[row].offset, table[row].size()}); shared.size > 0)
      parts.push_back({row, shared});
  return parts;
}

ShardLayout::ShardLayout(const std::vector<Parameter>& table, int ranks, int64_t bucket_floats)
    : ranks_(ranks), bucket_of_row_(table.size()) {
  if (ranks == 1) {
    const int64_t size = total_size(table);
    buckets_.push_back({.first_row = 0, .end_row = table.size(), .range = {0, size}, .chunk = size});
    return;
  }
  if (bucket_floats == 0) bucket_floats = default_bucket_floats(table, ranks);
  for (size_t row = 0; row < table.size(); ++row) {
    if (buckets_.empty() || row == 1 || buckets_.back().range.size >= bucket_floats)
      buckets_.push_back({.first_row = row, .end_row = row, .range = {table[row].offset, 0}});
    Bucket& bucket = buckets_.back();
    bucket.end_row = row + 1;
    bucket.range.size += table[row].size();
    bucket_of_row_[row] = buckets_.size() - 1;
  }
  for (Bucket& bucket : buckets_) bucket.chunk = chunk_of(bucket.range.size, ranks);
}

FlatRange ShardLayout::owned(const Bucket& bucket, int rank) const {
  const int64_t begin = std::min(rank * bucket.chunk, bucket.range.size);
  const int64_t end = std::min(begin + bucket.chunk, bucket.range.size);
  return {bucket.range.begin + begin, end - begin};
}

std::vector<FlatRange> ShardLayout::owned(int rank) const {
  std::vector<FlatRange> ranges;
  for (const Bucket& bucket : buckets_) ranges.push_back(owned(bucket, rank));
  return ranges;
}

std::vector<FlatRange> ShardLayout::updated(int rank, int zero_stage) const {
  if (zero_stage > 0) return owned(rank);
  std::vector<FlatRange> ranges;
  for (const Bucket& bucket : buckets_) ranges.push_back(bucket.range);
  return ranges;
}

}  // namespace esmscale::config
