// Vectors of ESMSCALE_LANES numbers, as the compiler's vector extension has them: one source for every width.
// Comparisons and ?: work by lane, and a · b + c becomes one fused instruction where there is one.
// Headers of this folder are compiled once per instruction set, by isa_*.cpp, with ESMSCALE_LANES defined and
// the instructions turned on. They include only each other, and hold no lambdas: g++ 12 forgets the target
// there.
#pragma once

namespace esmscale::kernels::cpu::lanes {
namespace {

constexpr int64_t kLanes = ESMSCALE_LANES;

typedef float Vec __attribute__((vector_size(ESMSCALE_LANES * 4)));
typedef uint32_t VecBits __attribute__((vector_size(ESMSCALE_LANES * 4)));
typedef float VecInMemory __attribute__((vector_size(ESMSCALE_LANES * 4), aligned(4), may_alias));

#define ESMSCALE_INLINE __attribute__((always_inline)) inline

// x − 0 is x for every x, signed zeros included, so this is a broadcast and nothing else.
ESMSCALE_INLINE Vec splat(float x) {
  return x - Vec{};
}

ESMSCALE_INLINE Vec load(const float* from) {
  return *reinterpret_cast<const VecInMemory*>(from);
}
ESMSCALE_INLINE void store(float* to, Vec v) {
  *reinterpret_cast<VecInMemory*>(to) = v;
}

// The lanes of a and b (counted on through both) in the order given; both compilers' word for it.
#if defined(__clang__)
#define ESMSCALE_SHUFFLE(Index, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ESMSCALE_SHUFFLE(Index, a, b, ...) __builtin_shuffle(a, b, Index{__VA_ARGS__})
#endif

// The sum of the lanes, by halves: the error grows with log2(lanes).
ESMSCALE_INLINE float sum(Vec v) {
#if ESMSCALE_LANES == 16
  v += ESMSCALE_SHUFFLE(VecBits, v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += ESMSCALE_SHUFFLE(VecBits, v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
#elif ESMSCALE_LANES == 8
  v += ESMSCALE_SHUFFLE(VecBits, v, v, 4, 5, 6, 7, 0, 1, 2, 3);
#endif
#if ESMSCALE_LANES >= 4
  return (v[0] + v[2]) + (v[1] + v[3]);
#else
  return v[0];
#endif
}

// Vectors of which only the first `count` lanes are loaded (the others are zero) or stored: by masks where
// there are.
#if ESMSCALE_LANES == 16 && defined(__x86_64__)
ESMSCALE_INLINE __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1);
}
ESMSCALE_INLINE Vec load_short(const float* from, int64_t count) {
  return (Vec)_mm512_maskz_loadu_ps(first_lanes(count), from);
}
ESMSCALE_INLINE void store_short(float* to, Vec v, int64_t count) {
  _mm512_mask_storeu_ps(to, first_lanes(count), (__m512)v);
}

#elif ESMSCALE_LANES == 8 && defined(__x86_64__)

ESMSCALE_INLINE __m256i first_lanes(int64_t count) {
  static constexpr int32_t kOnThenOff[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kOnThenOff + 8 - count));
}
ESMSCALE_INLINE Vec load_short(const float* from, int64_t count) {
  return (Vec)_mm256_maskload_ps(from, first_lanes(count));
}
ESMSCALE_INLINE void store_short(float* to, Vec v, int64_t count) {
  _mm256_maskstore_ps(to, first_lanes(count), (__m256)v);
}

#else
ESMSCALE_INLINE Vec load_short(const float* from, int64_t count) {
  Vec v = {};
  for (int64_t i = 0; i < count; ++i) v[i] = from[i];
  return v;
}
ESMSCALE_INLINE void store_short(float* to, Vec v, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = v[i];
}

#endif

// The last vector of a row may be short.
ESMSCALE_INLINE Vec load(const float* from, int64_t count) {
  return count >= kLanes ? load(from) : load_short(from, count);
}
ESMSCALE_INLINE void store(float* to, Vec v, int64_t count) {
  count >= kLanes ? store(to, v) : store_short(to, v, count);
}

// The second operand wins when one of the two is not a number.
ESMSCALE_INLINE Vec max(Vec a, Vec b) {
  return a > b ? a : b;
}

ESMSCALE_INLINE Vec abs(Vec a) {
  return (Vec)((VecBits)a & 0x7fffffff);
}

ESMSCALE_INLINE bool any_above(Vec a, float limit) {
#if ESMSCALE_LANES == 16 && defined(__x86_64__)
  return _mm512_cmp_ps_mask((__m512)a, _mm512_set1_ps(limit), _CMP_GT_OQ) != 0;
#else
  for (int64_t i = 0; i < kLanes; ++i)
    if (a[i] > limit) return true;
  return false;
#endif
}

}  // namespace
}  // namespace esmscale::kernels::cpu::lanes
