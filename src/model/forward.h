// ESM-2's forward pass in ATen operations: the plain engine's, and the reference that every other path is
// checked against. Works on autograd leaves as well as on plain tensors.
#pragma once

#include "esmscale/model/device_batch.h"
#include "esmscale/model/weights.h"
#include "model/attention.h"

#include <ATen/core/Tensor.h>

namespace esmscale::model {

// Hidden states after the final norm, [T, D], in `type` (the arithmetic of the matrix products).
at::Tensor forward_hidden(const Weights& weights, const DeviceBatch& batch, at::ScalarType type);

// The RoBERTa head on rows [R, D]: logits [R, V] in fp32.
at::Tensor forward_head(const Weights& weights, const at::Tensor& hidden_RD);

}  // namespace esmscale::model
