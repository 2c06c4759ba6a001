// Kernels that were written for GPUs, run on tensors: on a GPU in its current stream, on a CPU at once.
#pragma once

#include "esmscale/kernels/gpu/gpu.h"

#include <array>

#include <ATen/core/Tensor.h>

namespace esmscale::model {

// Null where there is no tensor. T is float or kernels::BFloat16.
template <class T>
T* numbers(const at::Tensor& x) {
  return x.defined() ? static_cast<T*>(x.data_ptr()) : nullptr;
}
inline float* floats(const at::Tensor& x) {
  return x.defined() ? x.data_ptr<float>() : nullptr;
}

kernels::gpu::Place place_of(const at::Tensor& any);

// totals[i] += the sums over blocks of partials [blocks, sums, width].
void add_partials(const at::Tensor& partials, const std::array<at::Tensor, 3>& totals);

}  // namespace esmscale::model
