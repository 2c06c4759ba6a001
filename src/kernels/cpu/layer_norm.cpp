#include "esmscale/kernels/cpu/layer_norm.h"

#include "kernels/cpu/table.h"

namespace esmscale::kernels::cpu {

void layer_norm_forward(const LayerNormForward& work, Range rows) {
  active_kernels()->layer_norm_forward(work, rows);
}

void layer_norm_recompute(const LayerNormRecompute& work, Range rows) {
  active_kernels()->layer_norm_recompute(work, rows);
}

void layer_norm_backward(const LayerNormBackward& work, Range blocks, int64_t rows) {
  active_kernels()->layer_norm_backward(work, blocks, rows);
}

}  // namespace esmscale::kernels::cpu
