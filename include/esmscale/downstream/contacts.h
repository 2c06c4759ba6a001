// Predicts which residues of a protein touch each other, from its sequence alone.
#pragma once

#include "esmscale/model/engine.h"

#include <cstdint>
#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

namespace esmscale::downstream {

// The logistic regression over attention maps that comes with official models (Rao et al. 2021, "Transformer
// protein language models are unsupervised structure learners"): each head's map is made symmetric, corrected
// by its average product, and weighted. `weight` is [layers · heads]. Probabilities [L, L], fp32, symmetric.
at::Tensor contacts_by_head(const model::Weights& weights, std::span<const uint8_t> residues,
                            std::span<const float> weight, float bias);

struct JacobianOptions {
  int64_t batch_rows = 4096;
  std::function<void(double done)> progress{};  // of 20 · residues passes
};

// The categorical Jacobian (Zhang et al. 2024, "Protein language models learn evolutionary statistics of
// interacting sequence motifs"): how the logits of the 20 residues at each position change when another
// position is each of the 20 in turn; centred over all four axes, its norm over both residues, corrected by
// the average product, made symmetric. Scores [L, L], fp32, symmetric, zeros on the diagonal; no
// probabilities. Takes 20 L + 1 passes and 1600 L² bytes.
at::Tensor contacts_by_jacobian(model::Engine& engine, const config::ModelConfig& model,
                                std::span<const uint8_t> residues, const JacobianOptions& options);

}  // namespace esmscale::downstream
