// Whether this program was instrumented: a sanitizer holds back memory of its own, and what a test says of
// resident memory does not hold.
#pragma once

namespace esmscale {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

}  // namespace esmscale
