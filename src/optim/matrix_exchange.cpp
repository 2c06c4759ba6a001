#include "optim/matrix_exchange.h"

#include <numeric>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace esmscale::optim {

MatrixExchange::MatrixExchange(std::vector<config::HiddenMatrix> matrices,
                               const std::vector<config::FlatRange>& ranges)
    : owned_(std::move(matrices)) {
  for (const config::HiddenMatrix& matrix : owned_)
    for (const config::FlatRange& range : ranges)
      if (const auto shared = config::intersection(matrix.range(), range); shared.size > 0) {
        packed_.push_back({matrix.row, shared, packed_size_});
        packed_size_ += shared.size;
      }
}

// What rank s sends to owner o: of each of o's matrices, in their order, its ranges' shares.
MatrixExchange::MatrixExchange(const std::vector<config::HiddenMatrix>& matrices,
                               const std::vector<std::vector<config::FlatRange>>& shards, dist::Group& group)
    : group_(&group), packed_by_owner_(shards.size()), owned_by_shard_(shards.size()) {
  const std::vector<int> owners = config::matrix_owners(matrices, group.size());
  const auto me = static_cast<size_t>(group.rank());
  for (size_t owner = 0; owner < shards.size(); ++owner)
    for (size_t m = 0; m < matrices.size(); ++m) {
      if (owners[m] != static_cast<int>(owner)) continue;
      if (owner == me) owned_.push_back(matrices[m]);
      for (const config::FlatRange& range : shards[me])
        if (const auto shared = config::intersection(matrices[m].range(), range); shared.size > 0) {
          packed_.push_back({matrices[m].row, shared, packed_size_});
          packed_size_ += shared.size;
          packed_by_owner_[owner] += shared.size;
        }
    }
  int64_t arrived = 0;
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    int64_t matrix_begin = 0;
    for (const config::HiddenMatrix& matrix : owned_) {
      for (const config::FlatRange& range : shards[shard])
        if (const auto shared = config::intersection(matrix.range(), range); shared.size > 0) {
          pieces_.push_back({matrix_begin + shared.begin - matrix.begin, arrived, shared.size});
          arrived += shared.size;
          owned_by_shard_[shard] += shared.size;
        }
      matrix_begin += matrix.size();
    }
  }
}

at::Tensor MatrixExchange::exchange(const at::Tensor& message, const std::vector<int64_t>& to,
                                    const std::vector<int64_t>& from) {
  const int64_t size = std::accumulate(from.begin(), from.end(), int64_t{0});
  at::Tensor arrived = at::empty({size}, message.options());
  group_->all_to_all(arrived, message, from, to).wait();
  return arrived;
}

at::Tensor MatrixExchange::to_owners(const at::Tensor& packed) {
  if (!group_) return packed;
  const at::Tensor arrived = exchange(packed, packed_by_owner_, owned_by_shard_);
  at::Tensor whole = at::empty_like(arrived);
  for (const auto& [in_whole, in_message, size] : pieces_)
    whole.narrow(0, in_whole, size).copy_(arrived.narrow(0, in_message, size));
  return whole;
}

at::Tensor MatrixExchange::to_shards(const at::Tensor& whole) {
  if (!group_) return whole;
  at::Tensor message = at::empty_like(whole);
  for (const auto& [in_whole, in_message, size] : pieces_)
    message.narrow(0, in_message, size).copy_(whole.narrow(0, in_whole, size));
  return exchange(message, owned_by_shard_, packed_by_owner_);
}

}  // namespace esmscale::optim
