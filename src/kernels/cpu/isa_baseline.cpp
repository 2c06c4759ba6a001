#include "kernels/cpu/lanes/prelude.h"

#define ESMSCALE_LANES 4
#include "kernels/cpu/lanes/all.h"

const esmscale::kernels::cpu::KernelTable* esmscale::kernels::cpu::baseline_table() {
  return &lanes::kTable;
}
