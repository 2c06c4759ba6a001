#include "esmscale/model/engine.h"

#include "esmscale/core/error.h"

#include "fused_engine.h"
#include "plain_engine.h"
#include <ATen/Context.h>

namespace esmscale {

std::unique_ptr<Engine> make_engine(const Weights& weights, const EngineOptions& options) {
  const bool cuda = weights.flat.is_cuda();
  if (options.precision != "fp32" && !cuda)
    throw usage_error({.where = "train.precision",
                       .expected = "fp32 on a CPU",
                       .found = options.precision,
                       .advice = "use --set train.precision=fp32 or a GPU"});
  if (options.recompute != "none")
    throw usage_error({.where = "train.recompute",
                       .expected = "none: no engine recomputes yet",
                       .found = options.recompute,
                       .advice = "use a smaller train.micro_batch_tokens to save memory"});
  if (options.engine == "fused" && cuda)
    throw usage_error({.where = "train.engine",
                       .expected = "plain or auto on a GPU",
                       .found = "fused",
                       .advice = "the fused engine is the CPU's"});
  if (options.engine != "plain" && !cuda) return std::make_unique<FusedEngine>(weights);
  at::globalContext().setAllowTF32CuBLAS(options.precision == "tf32");
  return std::make_unique<PlainEngine>(weights, options.precision == "bf16" ? at::kBFloat16 : at::kFloat);
}

}  // namespace esmscale
