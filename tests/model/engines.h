// Engines by name, and the distance between what they give.
#pragma once

#include "esmscale/model/engine.h"
#include "support/batches.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace esmscale::model {

// `device` is the fused engine with the kernels for GPUs, here on the host.
inline std::unique_ptr<Engine> engine_named(const std::string& name, const Weights& weights,
                                            const std::string& recompute = "outputs") {
  const auto again = enum_from_name<config::Recompute>(recompute, "recompute");
  if (name == "device") return make_engine_of_gpu_kernels(weights, {.recompute = again});
  return make_engine(weights,
                     {.engine = enum_from_name<config::EngineKind>(name, "engine"), .recompute = again});
}

// Pads after the real rows, sequences without rows and masked positions without a target, as on a device
// where shapes never change.
inline data::PackedBatch with_inert_room(data::PackedBatch batch, const data::TokenList& tokens) {
  for (const int32_t rows : {7, 0, 0}) {
    batch.tokens.insert(batch.tokens.end(), static_cast<size_t>(rows), tokens.pad());
    batch.cu_seqlens.push_back(batch.cu_seqlens.back() + rows);
    batch.mask_counts.push_back(0);
    batch.sequences.push_back(-1);
  }
  batch.masked_rows.insert(batch.masked_rows.end(), 4, 0);
  batch.targets.insert(batch.targets.end(), 4, -1);
  return batch;
}

inline double norm_of(const std::vector<at::Tensor>& parts) {
  double squares = 0;
  for (const at::Tensor& part : parts) squares += part.square().sum().item<double>();
  return std::sqrt(squares);
}

inline double distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  std::vector<at::Tensor> differences;
  for (size_t p = 0; p < a.size(); ++p) differences.push_back(a[p] - b[p]);
  return norm_of(differences) / norm_of(b);
}

}  // namespace esmscale::model
