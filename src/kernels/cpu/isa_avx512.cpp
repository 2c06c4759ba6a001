#include "kernels/cpu/lanes/prelude.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#define ESMSCALE_LANES 16
#include "kernels/cpu/lanes/all.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const esmscale::kernels::cpu::KernelTable* esmscale::kernels::cpu::avx512_table() {
  return &lanes::kTable;
}

#else

const esmscale::kernels::cpu::KernelTable* esmscale::kernels::cpu::avx512_table() {
  return nullptr;
}

#endif
