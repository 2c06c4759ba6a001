// The upper half of an fp32 number, as GPUs and LibTorch store it: one sign, eight exponent and seven
// mantissa bits. It is for memory only; arithmetic is fp32. Works on the host and in device code.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define ESMSCALE_HOST_DEVICE __host__ __device__
#else
#define ESMSCALE_HOST_DEVICE
#endif

namespace esmscale::kernels {

struct BFloat16 {
  uint16_t bits;
};

ESMSCALE_HOST_DEVICE inline float to_float(float x) {
  return x;
}
ESMSCALE_HOST_DEVICE inline float to_float(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

template <class T>
ESMSCALE_HOST_DEVICE T rounded(float x);

template <>
ESMSCALE_HOST_DEVICE inline float rounded<float>(float x) {
  return x;
}
// Rounds to the nearest value, ties to even; NaN stays NaN.
template <>
ESMSCALE_HOST_DEVICE inline BFloat16 rounded<BFloat16>(float x) {
#ifdef __CUDA_ARCH__  // one instruction, which makes every NaN the same
  uint16_t rounded_bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded_bits) : "f"(x));
  return {rounded_bits};
#else
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (x != x) return {static_cast<uint16_t>((bits >> 16) | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
#endif
}

}  // namespace esmscale::kernels
