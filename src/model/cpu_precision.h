// Which precisions a CPU computes in.
#pragma once

#include "esmscale/model/engine.h"

namespace esmscale::model {

// Usage error unless it is fp32, or bf16 where the processor has products of bf16 or the options allow slow
// ones.
void require_cpu_precision(const EngineOptions& options, bool has_bf16_products);

}  // namespace esmscale::model
