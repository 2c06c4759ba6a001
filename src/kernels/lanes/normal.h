// 2^x and the normal distribution function. The polynomials are minimax fits in relative error (Remez
// exchange).
#pragma once

#include "simd.h"

namespace esmscale::kernels::lanes {
namespace {

// 2^x for x ≤ 127, with a relative error below 1.6e-7; below −126 it stays at 2^-126; not a number stays so.
ESMSCALE_INLINE Vec exp2(Vec x) {
  x = max(splat(-126.0f), x);
  // Adding 1.5 · 2^23 rounds to an integer, which then stands in the low bits.
  const Vec shifted = x + 12582912.0f;
  const Vec f = x - (shifted - 12582912.0f);  // [-½, ½]
  Vec p = splat(0.0013276471290737391f);
  p = p * f + 0.009675540961325169f;
  p = p * f + 0.05550713092088699f;
  p = p * f + 0.24022120237350464f;
  p = p * f + 0.6931469440460205f;
  p = p * f + 1.0000001192092896f;
  return (Vec)((VecBits)p + ((VecBits)shifted << 23));
}

struct Normal {
  Vec distribution;  // Φ(x)
  Vec bell;          // exp(−x²/2)
};

// Φ(−|x|) = exp(−x²/2) · r(t), t = 1 / (1 + 0.34 |x|), r a polynomial with a relative error of 3e-8 up to |x|
// = 14.
ESMSCALE_INLINE Normal normal(Vec x) {
  const Vec t = 1.0f / (abs(x) * 0.34f + 1.0f);
  const Vec bell = exp2(x * x * -0.72134752044448170f);  // log2(e) / 2
  Vec r = splat(-0.026120465248823166f);
  r = r * t + 0.1394994556903839f;
  r = r * t - 0.27313268184661865f;
  r = r * t + 0.2021826058626175f;
  r = r * t - 0.044718410819768906f;
  r = r * t + 0.11535914242267609f;
  r = r * t + 0.11519766598939896f;
  r = r * t + 0.13611219823360443f;
  r = r * t + 0.13562050461769104f;
  const Vec tail = bell * (r * t);
  return {x > 0.0f ? 1.0f - tail : tail, bell};
}

}  // namespace
}  // namespace esmscale::kernels::lanes
