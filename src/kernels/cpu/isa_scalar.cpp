#include "kernels/cpu/lanes/prelude.h"

#define ESMSCALE_LANES 1
#include "kernels/cpu/lanes/all.h"

const esmscale::kernels::KernelTable* esmscale::kernels::scalar_table() {
  return &lanes::kTable;
}
