// Which of the two engines `train.engine` comes to: the rule of the room that makes it (model) and of the one
// that predicts its memory (accounting).
#pragma once

#include "esmscale/config/config.h"

#include <string_view>

namespace esmscale::config {

enum class DeviceKind { cpu, gpu };

// The widest row that the fused engine's kernels for a GPU take.
inline constexpr int64_t kWidestGpuRowBytes = 10'240;

// Whether those kernels take a model's sizes: multiples of 8, and a width of at most kWidestGpuRowBytes.
bool fits_gpu_kernels(const ModelConfig& model, std::string_view precision);

// `auto` is fused, but on a GPU whose kernels do not take the model.
bool is_fused(std::string_view engine, const ModelConfig& model, std::string_view precision,
              DeviceKind device);

}  // namespace esmscale::config
