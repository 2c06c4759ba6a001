// e4m3: one sign, four exponent and three mantissa bits, as tensor cores multiply it. Its numbers reach 448
// and have steps of 2^-9 below 2^-6; it has no infinity and one NaN a sign. Works on the host and in device
// code.
#pragma once

#include "esmscale/kernels/bfloat16.h"

#include <cmath>

namespace esmscale::kernels {

struct Float8 {
  uint8_t bits;
};

inline constexpr float kLargestFloat8 = 448;

ESMSCALE_HOST_DEVICE inline float to_float(Float8 x) {
  const int exponent = (x.bits >> 3) & 15, mantissa = x.bits & 7;
  if (exponent == 15 && mantissa == 7) return NAN;
  const float size = exponent > 0 ? ldexpf(static_cast<float>(8 + mantissa), exponent - 10)
                                  : ldexpf(static_cast<float>(mantissa), -9);
  return x.bits & 0x80 ? -size : size;
}

// Rounds to the nearest value, ties to even; larger values become the largest finite one; NaN stays NaN.
template <>
ESMSCALE_HOST_DEVICE inline Float8 rounded<Float8>(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890  // one instruction, for two numbers
  uint16_t pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(x));
  return {static_cast<uint8_t>(pair)};
#else
  const float size = fabsf(x);
  uint32_t bits;
  memcpy(&bits, &size, sizeof bits);
  uint32_t code = 0x7f;
  if (size < 0.015625f) {
    code = static_cast<uint32_t>(rintf(size * 512));  // 8 is the smallest with an exponent
  } else if (x == x) {
    bits += 0x7ffff + ((bits >> 20) & 1);
    code = (bits >> 20) - ((127 - 7) << 3);
    if (size >= kLargestFloat8) code = 0x7e;
  }
  return {static_cast<uint8_t>(code | (std::signbit(x) ? 0x80 : 0))};
#endif
}

}  // namespace esmscale::kernels
