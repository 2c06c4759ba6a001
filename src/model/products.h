// The matrix products of a step. Weights are [out, in].
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace esmscale::model {

// x Wᵀ.
inline at::Tensor project(const at::Tensor& x, const at::Tensor& weight) {
  return at::mm(x, weight.t());
}
// The same into y, which is made where it is not yet.
inline void project_into(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight) {
  if (!y.defined()) y = at::empty({x.size(0), weight.size(0)}, x.options());
  at::mm_out(y, x, weight.t());
}
// dy W.
inline at::Tensor project_back(const at::Tensor& dy, const at::Tensor& weight) {
  return at::mm(dy, weight);
}

}  // namespace esmscale::model
