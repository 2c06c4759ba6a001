// Locks of files, and the file systems that have none.
#include "core/files/descriptor.h"
#include "core/files/lock_call.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"

#include <fcntl.h>
#include <sys/file.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

LockState try_lock(int descriptor, int kind, const fs::path& path) {
  while (lock_call()(descriptor, kind | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return LockState::held;
    // Lustre without flock, or a network file system whose lock server is absent.
    if (errno == ENOSYS || errno == ENOLCK || errno == ENOTSUP || errno == EINVAL)
      return LockState::unsupported;
    fail_io(path, "lock it");
  }
  return LockState::free;
}

}  // namespace

LockCall& lock_call() {
  static LockCall call = ::flock;
  return call;
}

LockState probe_lock(const fs::path& path) {
  const Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  return descriptor.get() < 0 ? LockState::free : try_lock(descriptor.get(), LOCK_SH, path);
}

FileLock::FileLock(const fs::path& path) {
  Descriptor descriptor(open_own(path, O_RDWR | O_CREAT));
  const struct stat status = status_of(path, descriptor);
  if (!S_ISREG(status.st_mode) || status.st_nlink > 1)  // a hard link would be emptied elsewhere too
    throw Error(
        {.where = path.string(),
         .expected = "a lock file of its own",
         .found = S_ISREG(status.st_mode) ? "a file with another name elsewhere" : kind_name(status.st_mode),
         .advice = "remove it"});
  const LockState state = try_lock(descriptor.get(), LOCK_EX, path);
  if (state == LockState::held) {
    char holder[64] = {};
    const ssize_t length = ::pread(descriptor.get(), holder, sizeof holder - 1, 0);
    throw Error({.where = path.parent_path().string(),
                 .expected = "a folder that no other process uses",
                 .found = text("process ", length > 0 ? holder : "(unknown)", " at work in it"),
                 .advice = "wait for it, or choose another folder"});
  }
  const std::string me = std::to_string(::getpid());
  if (::ftruncate(descriptor.get(), 0) != 0 || ::pwrite(descriptor.get(), me.data(), me.size(), 0) < 0)
    fail_io(path, "write");
  is_held_ = state == LockState::free;
  descriptor_ = descriptor.release();
}

FileLock::~FileLock() {
  ::close(descriptor_);
}

}  // namespace esmscale
