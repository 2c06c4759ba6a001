// The kernels of this folder for the instruction set that isa_*.cpp has turned on.
#pragma once

#include "kernels/cpu/lanes/attention_backward.h"
#include "kernels/cpu/lanes/attention_forward.h"
#include "kernels/cpu/lanes/gelu.h"
#include "kernels/cpu/lanes/layer_norm.h"

namespace esmscale::kernels::cpu::lanes {

constexpr KernelTable kTable = {layer_norm_forward, layer_norm_recompute, layer_norm_backward, gelu_forward,
                                gelu_backward,      attention_forward,    attention_backward};

}  // namespace esmscale::kernels::cpu::lanes
