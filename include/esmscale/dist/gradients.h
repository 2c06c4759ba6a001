// The sink of training: gradients in buckets that leave for the other ranks while backward goes on.
//   stage 0, 1: a full gradient on every rank, summed once a step in the last micro-batch (0: all-reduce,
//   every
//               rank has all of it; 1: reduce-scatter, each has its own chunks);
//   stage 2:    reduce-scattered in every micro-batch and added to this rank's chunks; a bucket exists from
//   its
//               first addition until it has left, so never the full gradient (ZeRO, Rajbhandari et al. 2020).
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
  // `weights` and `group` must outlive it. A group of one makes every stage 0.
  Gradients(const model::Weights& weights, Group& group, config::ShardLayout layout, int zero_stage);

  // A step: zero, then for every micro-batch begin_micro_batch, the engine, end_micro_batch. After the last
  // one mine() is complete (on CUDA for what runs on the stream).
  void zero();
  void begin_micro_batch(bool is_last);
  at::Tensor buffer(size_t p) override;
  void ready(size_t p) override;
  // What the engine did not touch leaves too: a rank without a pack takes part all the same.
  void end_micro_batch();

  // This rank's part of the summed gradient, one tensor a bucket, and the stretches of the flat weights they
  // belong to.
  std::vector<at::Tensor> mine() const;
  std::vector<config::Stretch> stretches() const;
  // The part of mine() that no other rank has as well, for norms.
  std::vector<at::Tensor> owned() const;
  const at::Tensor& flat() const { return whole_.front(); }  // one process: the whole gradient, [P]

  const config::ShardLayout& layout() const { return layout_; }
  int stage() const { return stage_; }
  int64_t peak_floats() const { return peak_floats_; }  // the most that its buffers have held
  // Name of the first parameter of mine() whose gradient is not finite, or "" (waits for the device).
  std::string first_non_finite() const;

 private:
  struct Leaving {
    size_t bucket;
    at::Tensor whole, chunk;
    Pending pending;
  };

  int64_t room_of(size_t bucket) const;  // floats, padding included
  at::Tensor floats(int64_t count);      // zeros
  void make_room(size_t bucket);         // stage 2: buckets come and go
  void leave_in_turn();                  // every rank sends its buckets in one order, the last first
  void leave(size_t bucket);
  void arrive();  // of the one that left first

  const model::Weights& weights_;
  Group& group_;
  config::ShardLayout layout_;
  int stage_;
  std::vector<at::Tensor> whole_;  // by bucket: this rank's gradient, [ranks · chunk]
  std::vector<at::Tensor> chunk_;  // by bucket: all ranks' gradient of what this rank owns; stages 1 and 2
  std::vector<size_t> waiting_;    // by bucket: rows that are not ready
  size_t turn_ = 0;                // buckets from here on have left
  bool leaves_now_ = false;
  std::deque<Leaving> leaving_;
  int64_t alive_floats_ = 0, peak_floats_ = 0;
};

}  // namespace esmscale::dist
