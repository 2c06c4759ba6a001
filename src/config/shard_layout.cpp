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

Stretch intersection(const Stretch& a, const Stretch& b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max<int64_t>(0, std::min(a.end(), b.end()) - begin)};
}

std::vector<RowPart> rows_in(const std::vector<Parameter>& table, const Stretch& stretch) {
  std::vector<RowPart> parts;
  for (size_t row = 0; row < table.size(); ++row)
    if (const Stretch shared = intersection(stretch, {table[row].offset, table[row].size()}); shared.size > 0)
      parts.push_back({row, shared});
  return parts;
}

ShardLayout::ShardLayout(const std::vector<Parameter>& table, int ranks, int64_t bucket_floats)
    : ranks_(ranks), bucket_of_row_(table.size()) {
  if (ranks == 1) {
    const int64_t size = total_size(table);
    buckets_.push_back({.first_row = 0, .end_row = table.size(), .stretch = {0, size}, .chunk = size});
    return;
  }
  if (bucket_floats == 0) bucket_floats = default_bucket_floats(table, ranks);
  for (size_t row = 0; row < table.size(); ++row) {
    if (buckets_.empty() || row == 1 || buckets_.back().stretch.size >= bucket_floats)
      buckets_.push_back({.first_row = row, .end_row = row, .stretch = {table[row].offset, 0}});
    Bucket& bucket = buckets_.back();
    bucket.end_row = row + 1;
    bucket.stretch.size += table[row].size();
    bucket_of_row_[row] = buckets_.size() - 1;
  }
  for (Bucket& bucket : buckets_) bucket.chunk = chunk_of(bucket.stretch.size, ranks);
}

Stretch ShardLayout::owned(const Bucket& bucket, int rank) const {
  const int64_t begin = std::min(rank * bucket.chunk, bucket.stretch.size);
  const int64_t end = std::min(begin + bucket.chunk, bucket.stretch.size);
  return {bucket.stretch.begin + begin, end - begin};
}

std::vector<Stretch> ShardLayout::owned(int rank) const {
  std::vector<Stretch> stretches;
  for (const Bucket& bucket : buckets_) stretches.push_back(owned(bucket, rank));
  return stretches;
}

std::vector<Stretch> ShardLayout::updated(int rank, int zero_stage) const {
  if (zero_stage > 0) return owned(rank);
  std::vector<Stretch> stretches;
  for (const Bucket& bucket : buckets_) stretches.push_back(bucket.stretch);
  return stretches;
}

}  // namespace esmscale::config
