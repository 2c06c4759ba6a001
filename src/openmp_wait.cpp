// How long an idle thread of LibTorch's pool spins for the next piece of work before it sleeps. libgomp's own
// choice is some 10 ms at every barrier. While many other processes run, that slows training down: the idle
// threads spin for a thread that has lost its core, and keep it from running (docs/performance.md, "A busy
// machine").
//
// libgomp reads its environment when it is loaded, before main(). This file therefore acts earlier still: the
// loader calls the entries of .preinit_array before any library begins, and the program starts itself again
// with GOMP_SPINCOUNT set. That costs some 40 ms. Where the user has set it, or OMP_WAIT_POLICY, or where the
// program cannot start again, everything stays as it is. Linux with glibc only.
#include <cstddef>
#include <cstring>

#include <unistd.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

char spin_count[] = "GOMP_SPINCOUNT=1000";  // some 20 µs
constexpr size_t kMost = 4096;              // entries of an environment; a longer one stays as it is
char* environment[kMost + 2];
char program[4096];  // its path: a process is listed under the last part of what it was started by

bool sets(const char* entry, const char* name) {
  const size_t length = std::strlen(name);
  return std::strncmp(entry, name, length) == 0 && entry[length] == '=';
}

// No library has begun, libc included: only system calls and plain loops here.
void bound_the_spinning(int, char** arguments, char** given) {
  size_t count = 0;
  for (; given[count]; ++count) {
    if (count == kMost || sets(given[count], "GOMP_SPINCOUNT") || sets(given[count], "OMP_WAIT_POLICY"))
      return;
    environment[count] = given[count];
  }
  environment[count] = spin_count;
  if (::readlink("/proc/self/exe", program, sizeof program - 1) > 0)
    ::execve(program, arguments, environment);
}

__attribute__((section(".preinit_array"), used)) void (*at_the_start)(int, char**,
                                                                      char**) = bound_the_spinning;

}  // namespace

#endif
