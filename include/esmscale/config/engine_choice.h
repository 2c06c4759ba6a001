// The engine that `train.engine` selects: one rule for the room that makes it (model) and the one that
// predicts its memory (accounting).
#pragma once

#include "esmscale/config/config.h"

namespace esmscale::config {

enum class DeviceKind { cpu, gpu };

// The arithmetic that `asked` means on a device: `automatic` is bf16 on a GPU that has it, else fp32.
Precision precision_on(Precision asked, DeviceKind device, bool has_bf16);

// Activations take 2 bytes; otherwise 4.
constexpr bool has_short_activations(Precision precision) {
  return precision == Precision::bf16 || precision == Precision::fp8;
}

// True if each rank holds only the fp32 weights that it updates, and all weights in bf16
// (parallel.master_weights). The precision is resolved.
bool shards_master_weights(const RunConfig& config, int ranks);

// The widest row that the fused engine's kernels for a GPU take.
inline constexpr int64_t kWidestGpuRowBytes = 10'240;

// True if those kernels support the model's sizes: multiples of 8, and a width of at most kWidestGpuRowBytes.
bool fits_gpu_kernels(const ModelConfig& model, Precision precision);

// `auto` selects fused, except on a GPU whose kernels do not support the model's sizes.
bool is_fused(EngineKind engine, const ModelConfig& model, Precision precision, DeviceKind device);

}  // namespace esmscale::config
