#include "model/fp8.h"

#include "model/gpu_work.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace esmscale::model {
namespace {

at::Tensor widened(const Fp8Rows& rows) {
  return rows.values_RK.to(at::kFloat) * rows.scales_R.unsqueeze(1);
}

}  // namespace

Fp8Rows quantise_rows(const at::Tensor& x_RK) {
  const at::TensorOptions options = at::TensorOptions().device(x_RK.device());
  const Fp8Rows rows{at::empty(x_RK.sizes(), options.dtype(at::kFloat8_e4m3fn)),
                     at::empty({x_RK.size(0)}, options.dtype(at::kFloat))};
  kernels::gpu::run(kernels::gpu::QuantiseRows{.rows = x_RK.size(0),
                                               .width = x_RK.size(1),
                                               .x = numbers<kernels::BFloat16>(x_RK),
                                               .y = numbers<kernels::Float8>(rows.values_RK),
                                               .scales = floats(rows.scales_R)},
                    place_of(x_RK));
  return rows;
}

Fp8Matrix quantise(const at::Tensor& weight) {
  return {.rows = quantise_rows(weight), .columns = quantise_rows(weight.t().contiguous())};
}

Fp8Block quantise(const Block& block) {
  return {.qkv = quantise(block.qkv.weight),
          .out = quantise(block.out.weight),
          .ffn_in = quantise(block.ffn_in.weight),
          .ffn_out = quantise(block.ffn_out.weight)};
}

void multiply_into(at::Tensor& result, const Fp8Rows& a, const Fp8Rows& b) {
  if (!a.values_RK.is_cuda()) {
    result.copy_(at::mm(widened(a), widened(b).t()));
    return;
  }
  at::_scaled_mm_out(result, a.values_RK, b.values_RK.t(), a.scales_R.unsqueeze(1), b.scales_R.unsqueeze(0),
                     /*bias=*/{}, /*scale_result=*/{}, at::kBFloat16, /*use_fast_accum=*/true);
}

}  // namespace esmscale::model
