#include "esmscale/dist/group.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <chrono>

#include <torch/csrc/distributed/c10d/Backend.hpp>

namespace esmscale::dist {

Pending::Pending() = default;
Pending::Pending(Group& group, const char* what, c10::intrusive_ptr<c10d::Work> work)
    : group_(&group), what_(what), work_(std::move(work)) {}
Pending::Pending(Pending&&) noexcept = default;
Pending& Pending::operator=(Pending&&) noexcept = default;
Pending::~Pending() = default;

void Pending::wait() {
  if (!work_) return;
  const auto begin = std::chrono::steady_clock::now();
  try {
    work_->wait();
  } catch (const std::exception& error) {
    throw PeerLost({.where = text("rank ", group_->rank(), ", ", what_),
                    .expected = text("all ", group_->size(), " ranks to take part"),
                    .found = std::string(first_line(error.what())),
                    .advice = "see the other ranks' logs; a checkpoint that was written is good"});
  }
  work_.reset();
  group_->traffic_.wait_seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Group::Group() = default;
Group::Group(c10::intrusive_ptr<c10d::Backend> backend, bool scatters_by_all_reduce)
    : backend_(std::move(backend)),
      scatters_by_all_reduce_(scatters_by_all_reduce),
      rank_(backend_->getRank()),
      size_(backend_->getSize()) {}
Group::Group(Group&&) noexcept = default;
Group& Group::operator=(Group&&) noexcept = default;

Group::~Group() {
  if (backend_) backend_->shutdown();
}

int64_t Group::ring_bytes(const at::Tensor& whole) const {
  return static_cast<int64_t>(whole.nbytes()) * (size_ - 1) / size_;
}

Pending Group::all_reduce(const at::Tensor& sum) {
  if (!backend_) return {};
  traffic_.bytes += 2 * ring_bytes(sum);
  std::vector<at::Tensor> tensors{sum};
  return {*this, "all-reduce", backend_->allreduce(tensors)};
}

Pending Group::reduce_scatter(const at::Tensor& chunk, const at::Tensor& whole) {
  if (!backend_) {
    chunk.copy_(whole);
    return {};
  }
  traffic_.bytes += (scatters_by_all_reduce_ ? 2 : 1) * ring_bytes(whole);
  at::Tensor out = chunk, in = whole;
  return {*this, "reduce-scatter", backend_->_reduce_scatter_base(out, in)};
}

Pending Group::all_gather(const at::Tensor& whole, const at::Tensor& chunk) {
  if (!backend_) {
    whole.copy_(chunk);
    return {};
  }
  traffic_.bytes += ring_bytes(whole);
  at::Tensor out = whole, in = chunk;
  return {*this, "all-gather", backend_->_allgather_base(out, in)};
}

Pending Group::broadcast(const at::Tensor& tensor, int root) {
  if (!backend_) return {};
  traffic_.bytes += rank_ == root ? static_cast<int64_t>(tensor.nbytes()) : 0;
  std::vector<at::Tensor> tensors{tensor};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  return {*this, "broadcast", backend_->broadcast(tensors, options)};
}

Pending Group::all_to_all(const at::Tensor& out, const at::Tensor& in, std::vector<int64_t> out_splits,
                          std::vector<int64_t> in_splits) {
  if (!backend_) {
    out.copy_(in);
    return {};
  }
  const int64_t kept = in_splits[static_cast<size_t>(rank_)];
  traffic_.bytes += static_cast<int64_t>(in.element_size()) * (in.numel() - kept);
  at::Tensor to = out, from = in;
  return {*this, "all-to-all", backend_->alltoall_base(to, from, out_splits, in_splits)};
}

}  // namespace esmscale::dist
