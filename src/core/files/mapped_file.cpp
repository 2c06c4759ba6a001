// Mapped files. A page that cannot be read arrives as SIGBUS, at any place of the program: the handler looks
// up whose page it is, reports the file and ends the process, because the reader cannot continue.
#include "core/files/descriptor.h"
#include "esmscale/core/exit_code.h"
#include "esmscale/core/files/files.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>

#include <signal.h>
#include <sys/mman.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

// Read by the handler: no allocation, no lock, and texts that end within their arrays.
template <size_t size>
class HandlerText {
 public:
  void set(std::string_view text) {
    const size_t length = std::min(text.size(), size);
    std::transform(text.begin(), text.begin() + length, bytes_.begin(),
                   [](char c) { return c >= ' ' || c < 0 ? c : '?'; });
    length_.store(length);
  }
  void print() const {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, bytes_.data(), length_.load());
  }

 private:
  std::array<char, size> bytes_{};
  std::atomic<size_t> length_{0};
};

struct Mapping {
  std::atomic<bool> is_taken{false};
  std::atomic<uintptr_t> begin{0}, end{0};
  HandlerText<1024> path;
};

// More files than a run maps at a time; those beyond it are not named.
std::array<Mapping, 512> mappings;
HandlerText<64> first_words;
struct sigaction former_action {};

void print(std::string_view words) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, words.data(), words.size());
}

void end_by_fault(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const Mapping& mapping : mappings) {
    if (address < mapping.begin.load() || address >= mapping.end.load()) continue;
    first_words.print();
    mapping.path.print();
    print(
        ": cannot read it: its disk fails, or the file was cut short while it was used; restore the file\n");
    ::_exit(kFailure);
  }
  ::sigaction(SIGBUS, &former_action, nullptr);  // not ours: the access is tried again, and ends as before
}

void handle_faults() {
  static std::once_flag once;
  std::call_once(once, [] {
    first_words.set("error: ");
    struct sigaction action {};
    action.sa_sigaction = end_by_fault;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, &former_action);
  });
}

void add_mapping(const fs::path& path, const void* data, size_t size) {
  handle_faults();
  for (Mapping& mapping : mappings) {
    if (mapping.is_taken.exchange(true)) continue;
    mapping.path.set(path.native());
    mapping.begin.store(reinterpret_cast<uintptr_t>(data));
    mapping.end.store(reinterpret_cast<uintptr_t>(data) + size);
    return;
  }
}

void remove_mapping(const void* data) {
  for (Mapping& mapping : mappings) {
    if (!mapping.is_taken.load() || mapping.begin.load() != reinterpret_cast<uintptr_t>(data)) continue;
    mapping.end.store(0);
    mapping.begin.store(0);
    mapping.is_taken.store(false);
    return;
  }
}

}  // namespace

void begin_mapping_errors_with(std::string_view words) {
  handle_faults();
  first_words.set(words);
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor descriptor(open_regular(path));
  size_ = static_cast<size_t>(status_of(path, descriptor).st_size);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor.get(), 0);
  if (mapped == MAP_FAILED) fail_io(path, "map");
  data_ = static_cast<const std::byte*>(mapped);
  add_mapping(path, data_, size_);
}

MappedFile::~MappedFile() {
  if (!data_) return;
  remove_mapping(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept {
  *this = std::move(other);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace esmscale
