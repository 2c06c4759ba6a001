#include "esmscale/core/files/files.h"

#include "core/files/descriptor.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"

#include <memory>
#include <ostream>
#include <system_error>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

fs::path without_slash(fs::path path) {
  if (path.has_filename()) return path;
  return path.parent_path();
}

int open_folder(const fs::path& path) {
  const int descriptor = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_io(path, "open the folder");
  return descriptor;
}

// Removes `name` in the folder of `parent`; `path` names it in errors.
void remove_at(int parent, const std::string& name, const fs::path& path) {
  struct stat status {};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return;
    fail_io(path, "look at it");
  }
  if (S_ISDIR(status.st_mode)) {
    const int opened = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR* const folder = opened < 0 ? nullptr : ::fdopendir(opened);
    if (!folder) fail_io(path, "open the folder");
    const std::unique_ptr<DIR, int (*)(DIR*)> closed(folder, ::closedir);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(folder)) names.emplace_back(entry->d_name);
    for (const std::string& inside : names)
      if (inside != "." && inside != "..") remove_at(opened, inside, path / inside);
  }
  if (::unlinkat(parent, name.c_str(), S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT)
    fail_io(path, "remove");
}

}  // namespace

int open_own(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
  if (descriptor >= 0) return descriptor;
  if (errno == ELOOP)
    throw Error({.where = path.string(),
                 .expected = "a file of its own",
                 .found = "a link",
                 .advice = "remove the link, or choose another name"});
  fail_io(path, "open");
}

void write_file(const fs::path& path, std::string_view content) {
  AtomicOutput output(path);
  OutputFile file(output.path());
  file.write(content);
  file.close();
  output.publish();
}

void make_folder(const fs::path& path) {
  std::error_code reason;
  fs::create_directories(path, reason);
  if (reason) {
    errno = reason.value();
    fail_io(path, "make the folder");
  }
  if (!fs::is_directory(path)) throw io_error(path, "make the folder", EEXIST);
}

void make_own_folder(const fs::path& path) {
  make_folder(path);
  if (fs::is_symlink(fs::symlink_status(without_slash(path))))
    throw Error({.where = path.string(),
                 .expected = "a folder of its own",
                 .found = "a link",
                 .advice = "remove the link, or choose another name"});
}

void remove_tree(const fs::path& path) {
  const fs::path target = without_slash(path);
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(target, ignored))) return;
  const Descriptor parent(open_folder(target.parent_path()));
  remove_at(parent.get(), target.filename().string(), target);
}

void discard(const fs::path& path) noexcept {
  try {
    remove_tree(path);
  } catch (const std::exception&) {
    return;
  }
}

void sync_directory(const fs::path& path) {
  const Descriptor descriptor(open_folder(path));
  // Some network file systems cannot sync a folder; the rename itself has still happened.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail_io(path, "sync the folder");
}

void publish(const fs::path& from, const fs::path& path, bool sync) {
  if (::rename(from.c_str(), path.c_str()) != 0) fail_io(path, text("rename ", from.string(), " to it"));
  if (sync) sync_directory(path.parent_path());
}

AtomicOutput::AtomicOutput(fs::path target)
    : target_(without_slash(std::move(target))),
      path_(path_of(target_)),
      on_interruption_([this] { discard(path_); }) {
  std::error_code ignored;  // what cannot be looked at cannot be written either, which is an error then
  const fs::file_status there = fs::status(target_, ignored);
  if (fs::exists(there) && !fs::is_regular_file(there) && !fs::is_directory(there))
    throw Error({.where = target_.string(),
                 .expected = "a new name, or a file to replace",
                 .found = "a device or a pipe",
                 .advice = "choose another name"});
  discard(path_);
}

AtomicOutput::~AtomicOutput() {
  if (!published_) discard(path_);
}

fs::path AtomicOutput::path_of(const fs::path& target) {
  return without_slash(target).string() + kExtension;
}

void AtomicOutput::publish() {
  esmscale::publish(path_, target_);
  published_ = true;
}

void remove_folder(const fs::path& path) {
  AtomicOutput output(path);
  publish(path, output.path());
}

void require_free_space(const fs::path& path, uint64_t bytes) {
  fs::path existing = fs::absolute(path);
  while (!fs::exists(existing) && existing.has_relative_path()) existing = existing.parent_path();
  const fs::space_info space = fs::space(existing);
  if (space.available < bytes)
    throw NoRoom({.where = path.string(),
                  .expected = human_bytes(static_cast<double>(bytes)) + " of free disk",
                  .found = human_bytes(static_cast<double>(space.available)),
                  .advice = "free some space or choose another folder"});
}

void require_written(std::ostream& out) {
  if (!out.flush())
    throw Error({.where = "standard output",
                 .expected = "",
                 .found = "cannot write: it was closed, or its disk is full"});
}

OutputFile::OutputFile(fs::path path, Begin begin) : path_(std::move(path)) {
  const int where = begin == Begin::empty ? O_TRUNC : begin == Begin::at_end ? O_APPEND : 0;
  descriptor_ = open_own(path_, O_WRONLY | O_CREAT | where);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(path_, "write", "what was there before is untouched");
    bytes = bytes.subspan(static_cast<size_t>(written));
    size_ += static_cast<uint64_t>(written);
  }
}

void OutputFile::write(std::string_view bytes) {
  write(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

void OutputFile::append_whole(std::string_view bytes) {
  struct stat before {};
  if (::fstat(descriptor_, &before) != 0) fail_io(path_, "look at it");
  try {
    write(bytes);
  } catch (const Error&) {
    if (::ftruncate(descriptor_, before.st_size) != 0) fail_io(path_, "take back what was half written");
    throw;
  }
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(path_, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void OutputFile::resize(uint64_t bytes) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    fail_io(path_, text("make it ", bytes, " bytes long"));
}

void OutputFile::close(bool sync) {
  const int descriptor = std::exchange(descriptor_, -1);
  if (sync && ::fsync(descriptor) != 0 && errno != EINVAL) {
    ::close(descriptor);
    fail_io(path_, "sync it to disk");
  }
  if (::close(descriptor) != 0) fail_io(path_, "close");
}

}  // namespace esmscale
