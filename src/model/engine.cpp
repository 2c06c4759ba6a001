#include "esmscale/model/engine.h"

#include "esmscale/config/engine_choice.h"
#include "esmscale/core/error.h"
#include "esmscale/kernels/device.h"

#include "fused_engine.h"
#include "plain_engine.h"
#include <ATen/Context.h>

namespace esmscale {
namespace {

at::ScalarType type_of(const EngineOptions& options) {
  at::globalContext().setAllowTF32CuBLAS(options.precision == "tf32");
  return options.precision == "bf16" ? at::kBFloat16 : at::kFloat;
}

static_assert(kernels::device::kLargestWidth<float> * sizeof(float) == kWidestGpuRowBytes);

bool recomputes(const EngineOptions& options) {
  return options.recompute != "none";
}

}  // namespace

std::unique_ptr<Engine> make_engine(const Weights& weights, const EngineOptions& options) {
  const bool cuda = weights.flat.is_cuda();
  const bool fused =
      is_fused(options.engine, weights.config, options.precision, cuda ? DeviceKind::gpu : DeviceKind::cpu);
  if (options.precision != "fp32" && !cuda)
    throw usage_error({.where = "train.precision",
                       .expected = "fp32 on a CPU",
                       .found = options.precision,
                       .advice = "use --set train.precision=fp32 or a GPU"});
  if (recomputes(options) && !fused)
    throw usage_error({.where = "train.recompute",
                       .expected = "none with the plain engine",
                       .found = options.recompute,
                       .advice = "use --set train.engine=fused, or a smaller train.micro_batch_tokens"});
  if (fused && cuda) return make_device_engine(weights, options);
  if (fused) return std::make_unique<FusedEngine>(weights, make_host_passes(weights), recomputes(options));
  return std::make_unique<PlainEngine>(weights, type_of(options));
}

std::unique_ptr<Engine> make_device_engine(const Weights& weights, const EngineOptions& options) {
  return std::make_unique<FusedEngine>(weights, make_device_passes(weights, type_of(options)),
                                       recomputes(options));
}

}  // namespace esmscale
