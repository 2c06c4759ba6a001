#include "lanes/prelude.h"

#define ESMSCALE_LANES 4
#include "lanes/all.h"

const esmscale::kernels::KernelTable* esmscale::kernels::baseline_table() {
  return &lanes::kTable;
}
