// From the sums of a step to the scale of its gradient: the mean over masked positions, clipped, or zero for
// a step that is skipped. Nothing here waits for the device.
#pragma once

#include <span>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

// Scale of the summed gradient of one step; scalars on the device.
struct GradientScale {
  at::Tensor norm;       // fp32: ‖gradient of the mean loss‖, before clipping
  at::Tensor divisor;    // fp32: masked positions · max(norm / max_norm, 1)
  at::Tensor found_inf;  // fp32: 1 when loss or norm is not finite (or nothing was masked), else 0
};

// Arguments are fp64 scalars over all ranks: Σ g² of the summed gradient, the summed loss, the count of
// masked positions. max_norm 0: no clipping.
GradientScale gradient_scale(const at::Tensor& squared_norm, const at::Tensor& loss_sum,
                             const at::Tensor& masked, double max_norm);
// Σ g² of flat fp32 parts, of this rank only: an fp64 scalar on the device, the same for any number of
// threads.
at::Tensor squared_norm(std::span<const at::Tensor> gradient);

}  // namespace esmscale::optim
