// The tail of the normal distribution, for processors and GPUs alike.
#pragma once

#include "esmscale/kernels/bfloat16.h"

namespace esmscale::kernels {

// Φ(−|x|) = exp(−x²/2) · t · r(1 − t), t = 1 / (1 + 0.34 |x|): this is the polynomial r, a minimax fit (Remez
// exchange) with a relative error of 3e-8 up to |x| = 14. In powers of 1 − t, because near zero, where Φ is
// large, r is then its constant ½ and little rounding. X is a float or a vector of them.
inline constexpr float kTailScale = 0.34f;

template <class X>
ESMSCALE_HOST_DEVICE inline X normal_tail(X u) {
  X r = u * -0.026120465248823166f + 0.06946427375078201f;
  r = r * u - 0.028009546920657158f;
  r = r * u - 0.03012898378074169f;
  r = r * u - 0.07674726843833923f;
  r = r * u + 0.08460718393325806f;
  r = r * u + 0.3159160315990448f;
  r = r * u - 0.6733607649803162f;
  return r * u + 0.5f;
}

}  // namespace esmscale::kernels
