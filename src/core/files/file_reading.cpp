// Files as inputs: whole, or through a pipe.
#include "core/files/descriptor.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"

#include <chrono>
#include <vector>

#include <fcntl.h>
#include <poll.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_kind(const fs::path& path, const char* expected, mode_t mode) {
  throw Error({.where = path.string(), .expected = expected, .found = kind_name(mode)});
}

// Waits until a pipe has bytes or a writer that has ended. A byte that is read to find out goes to `begun`.
void await_writer(const fs::path& path, int descriptor, std::string& begun) {
  constexpr std::chrono::milliseconds kStep{250};
  std::chrono::milliseconds without_writer{0};
  while (without_writer < kPipePatience) {
    pollfd wait{.fd = descriptor, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(kStep.count())) > 0) return;
    char byte = 0;
    const ssize_t got = ::read(descriptor, &byte, 1);
    if (got > 0) begun.push_back(byte);
    if (got > 0) return;
    if (got == 0) without_writer += kStep;  // −1: there is a writer, which may take its time
  }
  throw Error({.where = path.string(),
               .expected = "a program that writes to the pipe",
               .found = text("none in ", kPipePatience.count(), " s")});
}

}  // namespace

int open_regular(const fs::path& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));  // a pipe does not block
  if (descriptor.get() < 0) fail_io(path, "open");
  if (const mode_t mode = status_of(path, descriptor).st_mode; !S_ISREG(mode))
    fail_kind(path, "a regular file", mode);
  return descriptor.release();
}

void require_regular(const fs::path& path) {
  const Descriptor opened(open_regular(path));
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

void require_no_pipe(const fs::path& path, std::string_view why) {
  std::error_code ignored;  // what cannot be looked at is an error where it is read
  const bool is_standard_input = path == "-";
  if (!is_standard_input && !fs::is_fifo(path, ignored)) return;
  throw usage_error({.where = is_standard_input ? "the standard input" : path.string(),
                     .expected = text("a file: ", why),
                     .found = "a pipe",
                     .advice = "write it to a file first"});
}

OpenedInput open_input(const fs::path& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (descriptor.get() < 0) fail_io(path, "open");
  OpenedInput input;
  const mode_t mode = status_of(path, descriptor).st_mode;
  if (!S_ISREG(mode) && !S_ISFIFO(mode)) fail_kind(path, "a regular file or a pipe", mode);
  if (S_ISFIFO(mode)) await_writer(path, descriptor.get(), input.begun);
  if (::fcntl(descriptor.get(), F_SETFL, O_RDONLY) != 0) fail_io(path, "read");
  input.descriptor = descriptor.release();
  return input;
}

void read_pieces(const fs::path& path, const std::function<void(std::string_view)>& take) {
  const OpenedInput input = open_input(path);
  const Descriptor descriptor(input.descriptor);
  take(input.begun);
  for (std::vector<char> piece(1 << 16);;) {
    const ssize_t got = ::read(descriptor.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(path, "read");
    if (got == 0) return;
    take({piece.data(), static_cast<size_t>(got)});
  }
}

std::string read_file(const fs::path& path) {
  std::string content;
  read_pieces(path, [&](std::string_view piece) {
    content += piece;
    if (content.size() > kLongestRead)
      throw Error({.where = path.string(),
                   .expected = text("at most ", human_bytes(double(kLongestRead))),
                   .found = "more",
                   .advice = "is it the file you meant?"});
  });
  return content;
}

}  // namespace esmscale
