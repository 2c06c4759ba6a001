// The system's call for locks, in one place: a test puts another there to act as a file system without locks.
#pragma once

namespace esmscale {

using LockCall = int (*)(int descriptor, int operation);
LockCall& lock_call();  // ::flock

}  // namespace esmscale
