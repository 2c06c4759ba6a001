#include "esmscale/model/engine.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/kernels/cpu/isa.h"
#include "esmscale/kernels/gpu/gpu.h"
#include "model/cpu_precision.h"
#include "model/fused_engine.h"
#include "model/plain_engine.h"

#include <ATen/Context.h>

namespace esmscale::model {
namespace {

// The type of matrix products. Whether they may round fp32 to TF32 is a setting of the whole process.
at::ScalarType apply_precision(const EngineOptions& options) {
  at::globalContext().setAllowTF32CuBLAS(options.precision == config::Precision::tf32);
  return config::has_short_activations(options.precision) ? at::kBFloat16 : at::kFloat;
}

void require_fp8(const EngineOptions& options, const config::ModelConfig& model, config::DeviceKind device) {
  if (options.precision != config::Precision::fp8) return;
  const bool fits = model.layers >= 3 && model.width % 16 == 0 && model.ffn_dim() % 16 == 0;
  if (fits && config::is_fused(options.engine, model, options.precision, device)) return;
  throw usage_error(
      {.where = "train.precision = fp8",
       .expected = "the fused engine, three blocks or more, and widths that are multiples of 16",
       .found = text(model.layers, " blocks of width ", model.width, " and ", model.ffn_dim(), ", engine ",
                     enum_name(options.engine)),
       .advice = "use --set train.precision=bf16"});
}

static_assert(kernels::gpu::kLargestWidth<float> * sizeof(float) == config::kWidestGpuRowBytes);

}  // namespace

void require_cpu_precision(const EngineOptions& options, bool has_bf16_products) {
  if (options.precision == config::Precision::fp32) return;
  if (options.precision != config::Precision::bf16)
    throw usage_error({.where = "precision",
                       .expected = "fp32 or bf16 on a CPU",
                       .found = std::string(enum_name(options.precision)),
                       .advice = "use a GPU, or begin a run with --set train.precision=fp32"});
  if (!has_bf16_products && !options.allow_slow_bf16)
    throw usage_error({.where = "precision bf16",
                       .expected = "a GPU, or a CPU with AVX512_BF16 or AMX",
                       .found = "a CPU without them, where bf16 is slower than fp32",
                       .advice = "use fp32, or train with --set train.allow_slow_bf16=true"});
}

void require_engine(const EngineOptions& options, const config::ModelConfig& model,
                    config::DeviceKind device) {
  if (device == config::DeviceKind::cpu) require_cpu_precision(options, kernels::cpu::has_bf16_products());
  const bool is_plain = !config::is_fused(options.engine, model, options.precision, device);
  if (options.recompute == config::Recompute::blocks && is_plain)
    throw usage_error({.where = "train.recompute",
                       .expected = "none or outputs with the plain engine",
                       .found = std::string(enum_name(options.recompute)),
                       .advice = "use --set train.engine=fused, or a smaller train.micro_batch_tokens"});
  if (options.has_sharded_masters && is_plain)
    throw usage_error(
        {.where = "parallel.master_weights",
         .expected = "whole with the plain engine",
         .found = "sharded",
         .advice = "use --set parallel.master_weights=whole, or --set train.engine=fused and a width that "
                   "is a multiple of 8"});
  require_fp8(options, model, device);
}

std::unique_ptr<Engine> make_engine(const Weights& weights, const EngineOptions& options) {
  const config::DeviceKind device =
      weights.flat.is_cuda() ? config::DeviceKind::gpu : config::DeviceKind::cpu;
  require_engine(options, weights.config, device);
  if (!config::is_fused(options.engine, weights.config, options.precision, device))
    return std::make_unique<PlainEngine>(weights, apply_precision(options));
  if (device == config::DeviceKind::gpu) return make_engine_of_gpu_kernels(weights, options);
  return std::make_unique<FusedEngine>(weights, make_cpu_ops(weights, apply_precision(options)),
                                       options.recompute);
}

std::unique_ptr<Engine> make_engine_of_gpu_kernels(const Weights& weights, const EngineOptions& options) {
  return std::make_unique<FusedEngine>(weights, make_gpu_ops(weights, apply_precision(options)),
                                       options.recompute, options.precision == config::Precision::fp8);
}

}  // namespace esmscale::model
