// The kernels that exist once per instruction set, and the way to the ones in use.
#pragma once

#include "esmscale/kernels/attention.h"
#include "esmscale/kernels/gelu.h"
#include "esmscale/kernels/layer_norm.h"

namespace esmscale::kernels {

struct KernelTable {
  void (*layer_norm_forward)(const LayerNormForward&, Range);
  void (*layer_norm_again)(const LayerNormAgain&, Range);
  void (*layer_norm_backward)(const LayerNormBackward&, Range, int64_t);
  void (*gelu_forward)(const GeluForward&, Range);
  void (*gelu_backward)(const GeluBackward&, Range, int64_t);
  void (*attention_forward)(const AttentionForward&, Range);
  void (*attention_backward)(const AttentionBackward&, Range);
};

// Null where the build has no such instructions. One file each: isa_<name>.cpp.
const KernelTable* scalar_table();
const KernelTable* baseline_table();
const KernelTable* avx2_table();
const KernelTable* avx512_table();

const KernelTable& active_table();

// `floats` numbers, 64-byte aligned, the calling thread's own until its next call; their values are left
// over.
float* thread_scratch(int64_t floats);

}  // namespace esmscale::kernels
