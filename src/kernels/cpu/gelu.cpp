#include "esmscale/kernels/cpu/gelu.h"

#include "kernels/cpu/table.h"

namespace esmscale::kernels::cpu {

void gelu_forward(const GeluForward& work, Range rows) {
  active_kernels()->gelu_forward(work, rows);
}

void gelu_backward(const GeluBackward& work, Range blocks, int64_t rows) {
  active_kernels()->gelu_backward(work, blocks, rows);
}

}  // namespace esmscale::kernels::cpu
