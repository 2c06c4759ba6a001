// What the sums of a step make of its gradient: the mean over masked positions, clipped, or nothing. Nothing
// here waits for the device.
#pragma once

#include <span>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

// What one step does with the summed gradient; scalars on the device.
struct GradientScale {
  at::Tensor norm;       // fp32: ‖gradient of the mean loss‖, before clipping
  at::Tensor divisor;    // fp32: masked positions · max(norm / max_norm, 1)
  at::Tensor found_inf;  // fp32: 1 when loss or norm is not finite (or nothing was masked), else 0
};

// All over all ranks, fp64 scalars: Σ g² of the summed gradient, the summed loss, the count of masked
// positions. max_norm 0: no clipping.
GradientScale gradient_scale(const at::Tensor& squared_norm, const at::Tensor& loss_sum,
                             const at::Tensor& masked, double max_norm);
at::Tensor squared_norm(std::span<const at::Tensor> gradient);

}  // namespace esmscale::optim
