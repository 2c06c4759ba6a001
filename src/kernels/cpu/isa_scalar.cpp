#include "lanes/prelude.h"

#define ESMSCALE_LANES 1
#include "lanes/all.h"

const esmscale::kernels::KernelTable* esmscale::kernels::scalar_table() {
  return &lanes::kTable;
}
