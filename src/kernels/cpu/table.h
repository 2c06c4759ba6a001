// The kernels that exist once per instruction set, and the way to the ones in use.
#pragma once

#include "esmscale/kernels/cpu/attention.h"
#include "esmscale/kernels/cpu/gelu.h"
#include "esmscale/kernels/cpu/layer_norm.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace esmscale::kernels::cpu {

struct KernelTable {
  void (*layer_norm_forward)(const LayerNormForward&, Range);
  void (*layer_norm_recompute)(const LayerNormRecompute&, Range);
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

// While it lives, numbers below 2^-126 are zeros to the calling thread, as operands and as results. A trained
// model's softmax is full of them, and processors take a hundred cycles for each. Elsewhere than on x86:
// nothing.
class TinyIsZero {
 public:
  TinyIsZero(const TinyIsZero&) = delete;
  TinyIsZero& operator=(const TinyIsZero&) = delete;
#if defined(__SSE__)
  TinyIsZero() : before_(_mm_getcsr()) {
    constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
    _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero);
  }
  ~TinyIsZero() {
    _mm_setcsr(before_);
  }

 private:
  unsigned before_;
#else
  TinyIsZero() {}
#endif
};

// The kernels in use: active_kernels()->gelu_forward(work, rows). Tiny numbers are zeros meanwhile.
class ActiveKernels {
 public:
  explicit ActiveKernels(const KernelTable& table) : table_(table) {}
  const KernelTable* operator->() const { return &table_; }

 private:
  const KernelTable& table_;
  const TinyIsZero tiny_is_zero_;
};
ActiveKernels active_kernels();

// `floats` numbers, 64-byte aligned, the calling thread's own until its next call; their values are left
// over.
float* thread_scratch(int64_t floats);

}  // namespace esmscale::kernels::cpu
