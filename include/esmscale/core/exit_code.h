// Exit codes of the program. Error::exit_code() chooses between the two of a failure.
#pragma once

namespace esmscale {

inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsageError = 2;        // wrong flags or configuration
inline constexpr int kStoppedBySignal = 85;  // a checkpoint is written; the same command resumes

}  // namespace esmscale
