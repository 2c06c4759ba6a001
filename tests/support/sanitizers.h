// Whether this program was instrumented: a sanitizer holds back memory of its own, and what a test says of
// resident memory does not hold.
#pragma once

namespace esmscale {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

// Such a program takes a signal at its next instrumented call only, which a step in LibTorch puts off for
// seconds.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kDelaysSignals = true;
#else
inline constexpr bool kDelaysSignals = false;
#endif

}  // namespace esmscale
