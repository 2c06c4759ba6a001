#include "esmscale/dist/group.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"

#include <chrono>

#include <c10/core/impl/VirtualGuardImpl.h>
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

Group& Group::operator=(Group&& other) noexcept {
  if (this == &other) return *this;
  shut_down();  // without it the last reference of NCCL's would abort
  backend_ = std::move(other.backend_);
  scatters_by_all_reduce_ = other.scatters_by_all_reduce_;
  waits_at_once_ = other.waits_at_once_;
  rank_ = other.rank_;
  size_ = other.size_;
  traffic_ = other.traffic_;
  return *this;
}

Group::~Group() {
  shut_down();
}

void Group::shut_down() noexcept {
  try {
    if (backend_) backend_->shutdown();
  } catch (const std::exception& error) {
    log_debug("the end of a group of ranks: ", first_line(error.what()));
  }
  backend_.reset();
}

// Gloo's threads end by themselves; NCCL's shutdown would wait for a collective that never completes.
void Group::abandon() noexcept {
  if (backend_ && backend_->getBackendName() == "nccl") static_cast<void>(backend_.release());
}

Pending Group::begun(const char* what, c10::intrusive_ptr<c10d::Work> work, const at::Tensor& tensor) {
  Pending pending(*this, what, std::move(work));
  if (!waits_at_once_) return pending;
  pending.wait();
  if (tensor.is_cuda()) c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(tensor.device().index());
  return {};
}

int64_t Group::ring_bytes(const at::Tensor& whole) const {
  return static_cast<int64_t>(whole.nbytes()) * (size_ - 1) / size_;
}

Pending Group::all_reduce(const at::Tensor& sum) {
  if (!backend_) return {};
  traffic_.bytes += 2 * ring_bytes(sum);
  std::vector<at::Tensor> tensors{sum};
  return begun("all-reduce", backend_->allreduce(tensors), sum);
}

Pending Group::reduce_scatter(const at::Tensor& chunk, const at::Tensor& whole) {
  if (!backend_) {
    chunk.copy_(whole);
    return {};
  }
  traffic_.bytes += (scatters_by_all_reduce_ ? 2 : 1) * ring_bytes(whole);
  at::Tensor out = chunk, in = whole;
  return begun("reduce-scatter", backend_->_reduce_scatter_base(out, in), whole);
}

Pending Group::all_gather(const at::Tensor& whole, const at::Tensor& chunk) {
  if (!backend_) {
    whole.copy_(chunk);
    return {};
  }
  traffic_.bytes += ring_bytes(whole);
  at::Tensor out = whole, in = chunk;
  return begun("all-gather", backend_->_allgather_base(out, in), whole);
}

Pending Group::broadcast(const at::Tensor& tensor, int root) {
  if (!backend_) return {};
  traffic_.bytes += rank_ == root ? static_cast<int64_t>(tensor.nbytes()) : 0;
  std::vector<at::Tensor> tensors{tensor};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  return begun("broadcast", backend_->broadcast(tensors, options), tensor);
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
