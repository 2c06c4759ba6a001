// 2^x, its polynomial a minimax fit in relative error (Remez exchange), and the normal distribution function.
#pragma once

#include "../normal_tail.h"
#include "simd.h"

namespace esmscale::kernels::lanes {
namespace {

// 2^x for x ≤ 127, with a relative error below 1e-7; below −126 it stays at 2^-126; not a number stays so.
ESMSCALE_INLINE Vec exp2(Vec x) {
  x = max(splat(-126.0f), x);
  // Adding 1.5 · 2^23 rounds to an integer, which then stands in the low bits.
  const Vec shifted = x + 12582912.0f;
  const Vec f = x - (shifted - 12582912.0f);  // [-½, ½]
  Vec p = splat(0.0001534581242594868f);
  p = p * f + 0.0013399930903688073f;
  p = p * f + 0.009618489071726799f;
  p = p * f + 0.05550328642129898f;
  p = p * f + 0.24022646248340607f;
  p = p * f + 0.6931471824645996f;
  p = p * f + 1.0f;
  return (Vec)((VecBits)p + ((VecBits)shifted << 23));
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
}  // namespace esmscale::kernels::lanes
