#include "esmscale/core/files.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <cerrno>
#include <cstring>
#include <ostream>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& attempt, const std::string& advice = {}) {
  throw Error(
      {.where = path.string(), .expected = "to " + attempt, .found = std::strerror(errno), .advice = advice});
}

int open_or_fail(const fs::path& path, int flags, const std::string& attempt) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (descriptor < 0) fail(path, attempt);
  return descriptor;
}

fs::path without_slash(fs::path path) {
  if (path.has_filename()) return path;
  return path.parent_path();
}

}  // namespace

std::string read_file(const fs::path& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void write_file(const fs::path& path, std::string_view content) {
  Aside aside(path);
  OutputFile file(aside.path());
  file.write(content);
  file.close();
  aside.publish();
}

void make_folder(const fs::path& path) {
  std::error_code reason;
  fs::create_directories(path, reason);
  if (reason || !fs::is_directory(path))
    throw Error({.where = path.string(),
                 .expected = "to make the folder",
                 .found = reason ? reason.message() : "a file of that name"});
}

void sync_directory(const fs::path& path) {
  const int descriptor = open_or_fail(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY, "open the folder");
  const int status = ::fsync(descriptor);
  ::close(descriptor);
  // Some network file systems cannot sync a folder; the rename itself has still happened.
  if (status != 0 && errno != EINVAL && errno != ENOTSUP) fail(path, "sync the folder");
}

void publish(const fs::path& aside, const fs::path& path) {
  if (::rename(aside.c_str(), path.c_str()) != 0) fail(path, text("rename ", aside.string(), " to it"));
  sync_directory(path.parent_path());
}

Aside::Aside(fs::path target) : target_(without_slash(std::move(target))), path_(path_of(target_)) {
  std::error_code
      ignored;  // what cannot be looked at or removed cannot be written either, which is told there
  const fs::file_status there = fs::status(target_, ignored);
  if (fs::exists(there) && !fs::is_regular_file(there) && !fs::is_directory(there))
    throw Error({.where = target_.string(),
                 .expected = "a new name, or a file to replace",
                 .found = "a device or a pipe",
                 .advice = "choose another name"});
  fs::remove_all(path_, ignored);
}

Aside::~Aside() {
  std::error_code ignored;
  if (!published_) fs::remove_all(path_, ignored);
}

fs::path Aside::path_of(const fs::path& target) {
  return without_slash(target).string() + kExtension;
}

void Aside::publish() {
  esmscale::publish(path_, target_);
  published_ = true;
}

void remove_folder(const fs::path& path) {
  Aside aside(path);
  publish(path, aside.path());
}

void require_free_space(const fs::path& path, uint64_t bytes) {
  fs::path existing = fs::absolute(path);
  while (!fs::exists(existing) && existing.has_relative_path()) existing = existing.parent_path();
  const fs::space_info space = fs::space(existing);
  if (space.available < bytes)
    throw Error({.where = path.string(),
                 .expected = human_bytes(static_cast<double>(bytes)) + " of free disk",
                 .found = human_bytes(static_cast<double>(space.available)),
                 .advice = "free some space or choose another folder"});
}

void require_written(std::ostream& out) {
  if (!out.flush())
    throw Error(
        {.where = "standard output", .expected = "to write to it", .found = "that it was closed or is full"});
}

OutputFile::OutputFile(fs::path path, Begin begin) : path_(std::move(path)) {
  const int where = begin == Begin::empty ? O_TRUNC : begin == Begin::at_end ? O_APPEND : 0;
  descriptor_ = open_or_fail(path_, O_WRONLY | O_CREAT | where, "create the file");
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "write to it", "what was there before is untouched");
    bytes = bytes.subspan(static_cast<size_t>(written));
    size_ += static_cast<uint64_t>(written);
  }
}

void OutputFile::write(std::string_view bytes) {
  write(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "write to it");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void OutputFile::resize(uint64_t bytes) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    fail(path_, text("make it ", bytes, " bytes long"));
}

void OutputFile::close(bool sync) {
  const int descriptor = std::exchange(descriptor_, -1);
  if (sync && ::fsync(descriptor) != 0 && errno != EINVAL) {
    ::close(descriptor);
    fail(path_, "sync it to disk");
  }
  if (::close(descriptor) != 0) fail(path_, "close it");
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int descriptor = open_or_fail(path, O_RDONLY, "open the file for reading");
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw Error({.where = path.string(), .expected = "a regular file", .found = "something else"});
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
    ::close(descriptor);
    if (mapped == MAP_FAILED) fail(path, "map the file");
    data_ = static_cast<const std::byte*>(mapped);
  } else {
    ::close(descriptor);
  }
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
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

FileLock::FileLock(const fs::path& path) {
  descriptor_ = open_or_fail(path, O_RDWR | O_CREAT, "open the lock file");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    char holder[64] = {};
    const ssize_t length = ::pread(descriptor_, holder, sizeof holder - 1, 0);
    ::close(descriptor_);
    throw Error({.where = path.parent_path().string(),
                 .expected = "a folder that no other process uses",
                 .found = text("process ", length > 0 ? holder : "(unknown)", " at work in it"),
                 .advice = "wait for it, or choose another folder"});
  }
  const std::string me = std::to_string(::getpid());
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, me.data(), me.size(), 0) < 0)
    fail(path, "write the lock file");
}

FileLock::~FileLock() {
  ::close(descriptor_);
}

}  // namespace esmscale
