// The inside of a forward pass: hidden states of every block, and attention maps. ATen operations compute it,
// as in the plain engine; no gradient.
#pragma once

#include "esmscale/model/device_batch.h"
#include "esmscale/model/weights.h"

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace esmscale::model {

struct Observer {
  // Layer 0 is the embedding and layer i the output of block i; the last one is after the final norm, as
  // transformers numbers its hidden_states. [T, D]
  std::function<void(int64_t layer, const at::Tensor& x_TD)> state{};
  // Queries, which carry the scale of attention, and keys of block i (from 0), both rotated. [T, H, K]
  std::function<void(int64_t block, const at::Tensor& q_THK, const at::Tensor& k_THK)> heads{};
  // Attention probabilities of block i (from 0), query rows by key rows, [H, T, T]; only for a batch of one
  // sequence.
  std::function<void(int64_t block, const at::Tensor& p_HTT)> attention{};
};

// Calls the functions that are there, in the order of the blocks.
void observe(const Weights& weights, const DeviceBatch& batch, at::ScalarType type, const Observer& observer);

}  // namespace esmscale::model
