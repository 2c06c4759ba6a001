#include "kernels/cpu/lanes/prelude.h"

#define ESMSCALE_LANES 4
#include "kernels/cpu/lanes/all.h"

const esmscale::kernels::KernelTable* esmscale::kernels::baseline_table() {
  return &lanes::kTable;
}
