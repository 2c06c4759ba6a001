// The gradient of a step, in buckets that are reduced over the ranks while backward is still running.
//   stage 0, 1: every rank holds a full gradient, reduced once a step, in the last micro-batch
//               (0: all-reduce, every rank gets all of it; 1: reduce-scatter, each rank gets its own chunks);
//   stage 2:    every micro-batch is reduce-scattered and added to this rank's chunks; a bucket exists from
//               its first addition until it is reduced, so no rank holds a full gradient (ZeRO, Rajbhandari
//               et al. 2020).
#pragma once

#include "esmscale/config/shard_layout.h"
#include "esmscale/dist/group.h"
#include "esmscale/model/sink.h"
#include "esmscale/model/weights.h"

#include <deque>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::dist {

class Gradients final : public model::GradientSink {
 public:
  explicit Gradients(const model::Weights& weights);  // one process
  // `weights` and `group` must outlive it. A group of one makes every stage 0. `travels_in`: the type in
  // which gradients are reduced over the ranks; sums over micro-batches are fp32.
  Gradients(const model::Weights& weights, Group& group, config::ShardLayout layout, int zero_stage,
            config::ReduceType travels_in = config::ReduceType::fp32);

  // A step: zero, then for every micro-batch begin_micro_batch, the engine, end_micro_batch. After the last
  // one updated_shard() is complete (on CUDA for work on the same stream).
  void zero();
  void begin_micro_batch(bool is_last);
  at::Tensor buffer(size_t p) override;
  void ready(size_t p) override;
  // Buckets that the engine did not touch are reduced too: a rank without a pack takes part in every
  // collective.
  void end_micro_batch();

  // The summed gradient of the weights that this rank updates, one tensor a bucket, and their ranges in the
  // flat weights. Stage 0: every rank updates all weights.
  std::vector<at::Tensor> updated_shard() const;
  std::vector<config::FlatRange> ranges() const;
  // The part of updated_shard() that this rank alone counts: over all ranks each gradient once, for norms.
  std::vector<at::Tensor> disjoint_shard() const;
  const at::Tensor& flat() const { return whole_.front(); }  // one process: the whole gradient, [P]

  const config::ShardLayout& layout() const { return layout_; }
  int stage() const { return stage_; }
  // The most that its buffers have held, without bf16 copies.
  size_t peak_bytes() const { return peak_bytes_; }
  // Name of the first parameter of updated_shard() whose gradient is not finite, or "" (waits for the
  // device).
  std::string first_non_finite() const;

 private:
  struct InFlight {
    size_t bucket;
    at::Tensor whole, chunk;  // as they travel
    Pending pending;
    bool is_from_previous = false;  // micro-batch
  };

  int64_t room_of(size_t bucket) const;  // floats, padding included
  at::Tensor zeros(int64_t count, at::ScalarType type);
  void make_room(size_t bucket);  // stage 2: a bucket exists while it is needed
  bool is_in_flight_from_previous(size_t bucket) const;
  void launch_in_order();  // every rank launches its buckets in one order, the last first
  void launch(size_t bucket);
  void complete_oldest();

  const model::Weights& weights_;
  Group& group_;
  config::ShardLayout layout_;
  int stage_;
  at::ScalarType travel_type_;
  std::vector<at::Tensor> whole_;  // by bucket: this rank's gradient, [ranks · chunk]
  std::vector<at::Tensor> chunk_;  // by bucket: all ranks' gradient of what this rank owns; stages 1 and 2
  std::vector<size_t> waiting_;    // by bucket: parameters that are not ready
  size_t next_ = 0;                // buckets from here on are launched
  bool launches_now_ = false, is_last_ = false;
  std::deque<InFlight> in_flight_;
  size_t alive_bytes_ = 0, peak_bytes_ = 0;
};

}  // namespace esmscale::dist
