// Vectors of ESMSCALE_LANES numbers, as the compiler's vector extension has them: one source for every width.
// Comparisons and ?: work by lane, and a · b + c becomes one fused instruction where there is one.
// Headers of this folder are compiled once per instruction set, by isa_*.cpp, with ESMSCALE_LANES defined and
// the instructions turned on. They include only each other, and hold no lambdas: g++ 12 forgets the target
// there.
#pragma once

namespace esmscale::kernels::lanes {
namespace {

constexpr int64_t kLanes = ESMSCALE_LANES;

typedef float Vec __attribute__((vector_size(ESMSCALE_LANES * 4)));
typedef int32_t VecBits __attribute__((vector_size(ESMSCALE_LANES * 4)));
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

// The last vector of a row may be short: lanes from `count` on read as `fill` and are not written.
ESMSCALE_INLINE Vec load(const float* from, int64_t count, Vec fill = Vec{}) {
  if (count >= kLanes) return load(from);
  std::memcpy(&fill, from, static_cast<size_t>(count) * sizeof(float));
  return fill;
}
ESMSCALE_INLINE void store(float* to, Vec v, int64_t count) {
  if (count >= kLanes) return store(to, v);
  std::memcpy(to, &v, static_cast<size_t>(count) * sizeof(float));
}

// The second operand wins when one of the two is not a number.
ESMSCALE_INLINE Vec max(Vec a, Vec b) {
  return a > b ? a : b;
}

ESMSCALE_INLINE Vec abs(Vec a) {
  return (Vec)((VecBits)a & 0x7fffffff);
}

// The sum of the lanes, by halves: the error grows with log2(lanes).
ESMSCALE_INLINE float sum(Vec v) {
  float lanes[kLanes];
  std::memcpy(lanes, &v, sizeof lanes);
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

}  // namespace
}  // namespace esmscale::kernels::lanes
