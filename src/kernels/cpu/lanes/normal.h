// 2^x, its polynomial a minimax fit in relative error (Remez exchange), and the normal distribution function.
#pragma once

#include "kernels/cpu/lanes/simd.h"
#include "kernels/normal_tail.h"

namespace esmscale::kernels::cpu::lanes {
namespace {

// x − ⌊x⌋, for |x| below 2^22, and p · 2^⌊x⌋.
#if ESMSCALE_LANES == 16 && defined(__x86_64__)
struct Floor {
  Vec x;
  ESMSCALE_INLINE explicit Floor(Vec v) : x(v) {}
  ESMSCALE_INLINE Vec rest() const {
    return (Vec)_mm512_maskz_reduce_ps(0xffff, (__m512)x, _MM_FROUND_TO_NEG_INF);
  }
  ESMSCALE_INLINE Vec times_power(Vec p) const {
    return (Vec)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)x);
  }
};
#else
struct Floor {
  Vec x, shifted;
  // Adding 1.5 · 2^23 rounds to an integer, which is then in the low bits; a tie may go up.
  ESMSCALE_INLINE explicit Floor(Vec v) : x(max(splat(-126.0f), v)), shifted((x - 0.5f) + 12582912.0f) {}
  ESMSCALE_INLINE Vec rest() const { return x - (shifted - 12582912.0f); }
  ESMSCALE_INLINE Vec times_power(Vec p) const { return (Vec)((VecBits)p + ((VecBits)shifted << 23)); }
};
#endif

// 2^x for x ≤ 127, with a relative error below 1e-7; below −126 it is at most 2^-126; not a number stays so.
ESMSCALE_INLINE Vec exp2(Vec x) {
  const Floor floor(x);
  const Vec f = floor.rest();  // [0, 1]
  Vec p = splat(0.00021702255680520308f);
  p = p * f + 0.0012439687147748747f;
  p = p * f + 0.009678841007043672f;
  p = p * f + 0.05548334197771016f;
  p = p * f + 0.24022983627589423f;
  p = p * f + 0.6931469838404387f;
  p = p * f + 1.0f;
  return floor.times_power(p);
}

struct Normal {
  Vec distribution;  // Φ(x)
  Vec bell;          // exp(−x²/2)
};

ESMSCALE_INLINE Normal normal(Vec x) {
  const Vec squared = x * x;
  // Past 2^-126, where exp2 stays, it is zero: x times the bell must vanish however large x is.
  const Vec bell = squared > 174.0f ? Vec{} : exp2(squared * -0.72134752044448170f);  // log2(e) / 2
  const Vec t = 1.0f / (abs(x) * kTailScale + 1.0f), r = normal_tail<Vec>(1.0f - t);
  const Vec tail = bell * (r * t);
  return {x > 0.0f ? 1.0f - tail : tail, bell};
}

}  // namespace
}  // namespace esmscale::kernels::cpu::lanes
