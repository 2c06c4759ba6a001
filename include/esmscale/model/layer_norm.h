#pragma once

#include "esmscale/kernels/cpu/layer_norm.h"

namespace esmscale::model {

// ε of every LayerNorm of ESM-2, in the plain engine, the kernels and the files of Hugging Face.
inline constexpr double kLayerNormEps = kernels::cpu::kLayerNormEps;

}  // namespace esmscale::model
