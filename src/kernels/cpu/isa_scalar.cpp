#include "kernels/cpu/lanes/prelude.h"

#define ESMSCALE_LANES 1
#include "kernels/cpu/lanes/all.h"

const esmscale::kernels::cpu::KernelTable* esmscale::kernels::cpu::scalar_table() {
  return &lanes::kTable;
}
