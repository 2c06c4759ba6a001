// Micro-batches that ranks share out, and a step's gradients of them.
#pragma once

#include "esmscale/data/alphabet.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/model/device_batch.h"
#include "esmscale/model/engine.h"
#include "support/batches.h"

#include <functional>
#include <string>
#include <vector>

namespace esmscale::dist {

// Four sequences, one micro-batch each, several times over.
inline std::vector<model::DeviceBatch> micro_batches(const config::ModelConfig& model, int times) {
  const data::TokenList& tokens = data::TokenList::of(29);
  std::vector<model::DeviceBatch> all;
  for (int i = 0; i < times; ++i)
    for (const model::ShownSequence& sequence : model::mixed_sequences())
      if (sequence.truth != sequence.shown)
        all.push_back(model::to_device(model::pack(tokens, {sequence}), model, tokens, at::kCPU));
  return all;
}

// Every rank takes the micro-batches rank, rank + ranks, …; in the last round some have none. `before_end` is
// called between the last backward and end_micro_batch().
inline void add_gradients(const model::Weights& weights, const std::string& engine_name, const Group& group,
                          Gradients& gradients, int times = 1, const std::function<void()>& before_end = {}) {
  const auto engine =
      model::make_engine(weights, {.engine = enum_from_name<config::EngineKind>(engine_name, "engine")});
  const std::vector<model::DeviceBatch> all = micro_batches(weights.config, times);
  const auto n = static_cast<size_t>(group.size());
  const size_t rounds = (all.size() + n - 1) / n;
  gradients.zero();
  for (size_t round = 0; round < rounds; ++round) {
    gradients.begin_micro_batch(round + 1 == rounds);
    const size_t mine = round * n + static_cast<size_t>(group.rank());
    if (mine < all.size()) engine->forward_backward(all[mine], gradients);
    if (before_end && round + 1 == rounds) before_end();
    gradients.end_micro_batch();
  }
}

// That every bucket of `gradients` is the part of `whole`, one process's, that it should be. Each float is a
// sum of the same numbers of fp32, added in another order: they differ by some of its last bits, 2^-23 of the
// largest term each. The largest difference over the largest gradient.
inline double distance_to_one_process(const Gradients& gradients, const at::Tensor& whole) {
  const std::vector<at::Tensor> mine = gradients.updated_shard();
  const std::vector<config::FlatRange> where = gradients.ranges();
  double largest = 0;
  for (size_t b = 0; b < mine.size(); ++b) {
    if (where[b].size == 0) continue;
    const double apart =
        (mine[b] - whole.narrow(0, where[b].begin, where[b].size)).abs().max().item<double>();
    if (!(apart <= largest)) largest = apart;  // NaN stays
  }
  return largest / whole.abs().max().item<double>();
}

}  // namespace esmscale::dist
