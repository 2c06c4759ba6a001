// Between tensors and kernels.
#pragma once

#include "esmscale/kernels/range.h"
#include "esmscale/kernels/rows.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace esmscale {

inline float* data(const at::Tensor& x) {
  return x.defined() ? x.data_ptr<float>() : nullptr;
}

// Calls f with disjoint ranges that cover 0 … count, on the threads of LibTorch.
template <class F>
void over(int64_t count, int64_t grain, F&& f) {
  at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) { f(kernels::Range{begin, end}); });
}
inline constexpr int64_t kRowGrain = 64;

template <class F>
void over_rows(int64_t rows, F&& f) {
  over(rows, kRowGrain, std::forward<F>(f));
}
template <class F>
void over_blocks(int64_t rows, F&& f) {
  over(kernels::row_blocks(rows), 1, std::forward<F>(f));
}

inline at::Tensor floats(at::IntArrayRef shape) {
  return at::empty(shape, at::kFloat);
}

// x Wᵀ and dy W.
inline at::Tensor project(const at::Tensor& x, const at::Tensor& weight) {
  return at::mm(x, weight.t());
}
inline at::Tensor project_back(const at::Tensor& dy, const at::Tensor& weight) {
  return at::mm(dy, weight);
}
// gradient += dyᵀ x.
inline void add_weight_gradient(at::Tensor gradient, const at::Tensor& dy, const at::Tensor& x) {
  gradient.addmm_(dy.t(), x);
}

// total += the sums of `partials` [blocks, width] in block order.
inline void add_partials(const at::Tensor& partials, at::Tensor total) {
  const int64_t blocks = partials.size(0), width = total.numel();
  over(width, 256, [&](kernels::Range columns) {
    kernels::sum_partials(data(partials), blocks, width, data(total), columns);
  });
}

}  // namespace esmscale
