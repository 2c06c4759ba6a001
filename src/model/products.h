// The matrix products of a step. Weights are [out, in].
#pragma once

#include "model/fp8.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace esmscale::model {

// A weight in the type of products, and in e4m3 where the products by it are to be of e4m3. The type is that
// of activations, except for bf16 on a CPU: activations stay fp32 and are rounded for each product, and the
// result is of bf16 too before it is widened.
struct Matrix {
  at::Tensor weight;
  const Fp8Matrix* fp8 = nullptr;
};

// x W into y, by way of the weight's type where that of x and y is another.
inline void multiply_into(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight) {
  if (x.scalar_type() == weight.scalar_type())
    at::mm_out(y, x, weight);
  else
    y.copy_(at::mm(x.to(weight.scalar_type()), weight));
}

// x Wᵀ into y, which is made where it is not yet.
inline void project_into(at::Tensor& y, const at::Tensor& x, const Matrix& matrix) {
  if (!y.defined()) y = at::empty({x.size(0), matrix.weight.size(0)}, x.options());
  if (matrix.fp8)
    multiply_into(y, quantise_rows(x), matrix.fp8->rows);
  else
    multiply_into(y, x, matrix.weight.t());
}
inline at::Tensor project(const at::Tensor& x, const Matrix& matrix) {
  at::Tensor y;
  project_into(y, x, matrix);
  return y;
}

// dy W.
inline at::Tensor project_back(const at::Tensor& dy, const Matrix& matrix) {
  at::Tensor dx = at::empty({dy.size(0), matrix.weight.size(1)}, dy.options());
  if (matrix.fp8)
    multiply_into(dx, quantise_rows(dy), matrix.fp8->columns);
  else
    multiply_into(dx, dy, matrix.weight);
  return dx;
}

}  // namespace esmscale::model
