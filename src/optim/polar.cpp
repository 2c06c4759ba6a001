#include "optim/polar.h"

#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/linalg_vector_norm.h>

namespace esmscale::optim {
namespace {

// X ← a·X + b·(X·Xᵀ)·X + c·(X·Xᵀ)²·X
struct Iteration {
  double a, b, c;
};
constexpr Iteration kIterations[] = {
    {8.156554524902461, -22.48329292557795, 15.878769915207462},
    {4.042929935166739, -2.808917465908714, 0.5000178451051316},
    {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
    {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
    {2.3465413258596377, -1.7097828382687081, 0.42323551169305323},
};
// The coefficients are made for singular values of at most 1, with this much room for rounding.
constexpr double kSafety = 1.02;

}  // namespace

at::Tensor polar_factors(const at::Tensor& matrices_NRC, at::ScalarType products) {
  const at::Tensor norms = at::linalg_vector_norm(matrices_NRC, 2, {1, 2}, /*keepdim=*/true);
  at::Tensor x = matrices_NRC / (norms * kSafety).clamp_min(std::numeric_limits<float>::min());
  const bool is_tall = x.size(1) > x.size(2);
  if (is_tall) x = x.transpose(1, 2);
  x = x.to(products).contiguous();
  for (const auto& [a, b, c] : kIterations) {
    const at::Tensor squares = at::bmm(x, x.transpose(1, 2));
    const at::Tensor polynomial = at::baddbmm(squares, squares, squares, b, c);
    x = at::baddbmm(x, polynomial, x, a, 1);
  }
  return (is_tall ? x.transpose(1, 2) : x).to(at::kFloat).contiguous();
}

}  // namespace esmscale::optim
