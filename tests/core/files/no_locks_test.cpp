// A file system without locks, such as Lustre mounted without flock: the system call is made to fail.
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "support/temporary.h"

#include <cerrno>
#include <cstddef>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale {
namespace {

// From now on flock() ends with `error` in this process; false where the system does not allow that.
bool make_locks_fail(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// What a process of its own ends with: 0 when it gets both locks, 1 when the second is refused, 2 when the
// system lets no call fail.
int end_of_two_locks(const std::filesystem::path& path, int error) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (error != 0 && !make_locks_fail(error)) ::_exit(2);
    try {
      const FileLock first(path), second(path);
    } catch (const Error&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(FileLockWithoutLocks, AFolderCanBeUsedAllTheSame) {
  const TemporaryFolder folder;
  EXPECT_EQ(end_of_two_locks(folder / "lock", 0), 1) << "where there are locks";
  for (const int error : {ENOSYS, ENOLCK, EOPNOTSUPP}) {
    const int end = end_of_two_locks(folder / "lock", error);
    if (end == 2) GTEST_SKIP() << "this system has no seccomp";
    EXPECT_EQ(end, 0) << error;
  }
}

}  // namespace
}  // namespace esmscale
