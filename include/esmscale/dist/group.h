// The one seam for communication of tensors: collectives over one c10d::Backend (NCCL on GPUs, Gloo on CPUs).
// A group of one sends nothing: reduce_scatter and all_gather copy, all_reduce leaves its tensor as it is.
#pragma once

#include "esmscale/core/error.h"

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

namespace c10d {
class Backend;
class Work;
}  // namespace c10d

namespace esmscale::dist {

// What one rank's collectives cost so far.
struct Traffic {
  // Bytes that this rank sends by the backend's algorithm, rings: 2·S·(n−1)/n for an all-reduce of S.
  int64_t bytes = 0;
  double wait_seconds = 0;  // of the host

  Traffic operator-(const Traffic& before) const {
    return {bytes - before.bytes, wait_seconds - before.wait_seconds};
  }
};

// A collective or an agreement that other ranks did not take part in.
class PeerLost : public Error {
 public:
  using Error::Error;
};

class Group;

// A collective in flight. wait() returns when it is complete; on CUDA the current stream waits and the host
// does not. PeerLost when a peer is gone or the time limit has passed. The group that began it must not be
// moved and must not end before wait() has returned.
class Pending {
 public:
  Pending();  // nothing to wait for
  Pending(Group& group, const char* what, c10::intrusive_ptr<c10d::Work> work);
  Pending(Pending&&) noexcept;
  Pending& operator=(Pending&&) noexcept;
  ~Pending();

  void wait();

 private:
  Group* group_ = nullptr;
  const char* what_ = "";
  c10::intrusive_ptr<c10d::Work> work_;
};

class Group {
 public:
  Group();  // one process
  Group(c10::intrusive_ptr<c10d::Backend> backend, bool scatters_by_all_reduce);
  Group(Group&&) noexcept;
  Group& operator=(Group&&) noexcept;
  ~Group();

  int rank() const { return rank_; }
  int size() const { return size_; }

  // Tensors are contiguous and live until wait() has returned. All ranks call the same collectives in the
  // same order.
  Pending all_reduce(const at::Tensor& sum);                                 // in place
  Pending reduce_scatter(const at::Tensor& chunk, const at::Tensor& whole);  // [n·size] → [n], summed
  Pending all_gather(const at::Tensor& whole, const at::Tensor& chunk);      // [n] → [n·size]
  Pending broadcast(const at::Tensor& tensor, int root);
  // Every rank has some floats for every rank: `in` holds in_splits[r] of them for rank r, `out` gets
  // out_splits[r] from rank r, both in the order of the ranks.
  Pending all_to_all(const at::Tensor& out, const at::Tensor& in, std::vector<int64_t> out_splits,
                     std::vector<int64_t> in_splits);

  const Traffic& traffic() const { return traffic_; }

  // For diagnosis: every collective except all_to_all() completes on the whole device before its call
  // returns.
  void wait_for_device_each_time(bool waits) { waits_at_once_ = waits; }
  // For the end of a failed run: abandons the backend, with collectives that can never complete. The process
  // ends soon.
  void abandon() noexcept;

 private:
  friend class Pending;
  int64_t ring_bytes(const at::Tensor& whole) const;
  Pending begun(const char* what, c10::intrusive_ptr<c10d::Work> work, const at::Tensor& tensor);
  void shut_down() noexcept;

  c10::intrusive_ptr<c10d::Backend> backend_;
  bool scatters_by_all_reduce_ = false;  // Gloo: its reduce-scatter is an all-reduce and a copy
  bool waits_at_once_ = false;
  int rank_ = 0, size_ = 1;
  Traffic traffic_;
};

}  // namespace esmscale::dist
