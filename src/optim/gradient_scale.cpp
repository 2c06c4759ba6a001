#include "esmscale/optim/gradient_scale.h"

#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>

namespace esmscale::optim {
namespace {

constexpr int64_t kNormRow = 4096;

at::Tensor sum_of_squares(const std::vector<at::Tensor>& norms) {
  return at::cat(norms).to(at::kDouble).square().sum();
}

}  // namespace

// Norms of rows of kNormRow floats in fp32, their squares added in fp64: no fp64 copy of the gradient is
// made, and no sum depends on the number of threads. Two launches a part: ranks have a part for each bucket.
at::Tensor squared_norm(std::span<const at::Tensor> gradient) {
  std::vector<at::Tensor> rows, rests;
  for (const at::Tensor& part : gradient) {
    const int64_t whole_rows = part.numel() / kNormRow, head = whole_rows * kNormRow;
    rows.push_back(at::linalg_vector_norm(part.narrow(0, 0, head).view({whole_rows, kNormRow}), 2, {1}));
    rests.push_back(at::linalg_vector_norm(part.narrow(0, head, part.numel() - head)).view({1}));
  }
  return sum_of_squares(rows) + sum_of_squares(rests);
}

GradientScale gradient_scale(const at::Tensor& squared, const at::Tensor& loss_sum, const at::Tensor& masked,
                             double max_norm) {
  const at::Tensor count = at::clamp_min(masked, 1);
  const at::Tensor norm = squared.sqrt() / count;
  const at::Tensor excess = max_norm > 0 ? at::clamp_min(norm / max_norm, 1.0) : at::ones_like(norm);
  const at::Tensor good = at::isfinite(norm).logical_and(at::isfinite(loss_sum)).logical_and(masked.gt(0));
  return {.norm = norm.to(at::kFloat),
          .divisor = (excess * count).to(at::kFloat),
          .found_inf = good.logical_not().to(at::kFloat)};
}

}  // namespace esmscale::optim
