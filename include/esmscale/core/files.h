// Files that are whole or absent: written aside, synced, renamed. Every failure is an esmscale::Error that
// names the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

namespace esmscale {

std::string read_file(const std::filesystem::path& path);

// Publishes `content` at `path`: a reader sees the old file or the new one, never a part.
void write_file(const std::filesystem::path& path, std::string_view content);

// Makes a folder and its parents; one that is there already is fine.
void make_folder(const std::filesystem::path& path);

void sync_directory(const std::filesystem::path& path);
// Renames (over an empty or absent target) and syncs the parent.
void publish(const std::filesystem::path& aside, const std::filesystem::path& path);

// Where a file or folder is made before it is published: TARGET.esmscale-partial, a name
// that nobody else gives. Until publish() it goes, with all
// that is in it, when this does: a failure leaves nothing behind, and what a killed process left makes room.
class Aside {
 public:
  explicit Aside(std::filesystem::path target);
  ~Aside();
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

  static constexpr const char* kExtension = ".esmscale-partial";
  static std::filesystem::path path_of(const std::filesystem::path& target);
  const std::filesystem::path& path() const { return path_; }
  void publish();

 private:
  std::filesystem::path target_, path_;
  bool published_ = false;
};

// Removes a folder and all that is in it. Killed half way it leaves TARGET.esmscale-partial, which
// nobody takes for the folder.
void remove_folder(const std::filesystem::path& path);

// Error when the file system that will hold `path` has less than `bytes` free.
void require_free_space(const std::filesystem::path& path, uint64_t bytes);

// Flushes; error when the standard output did not take everything.
void require_written(std::ostream& out);

// A file that is written from front to back (or at offsets) and checked at every call; not atomic by itself.
class OutputFile {
 public:
  enum class Begin { empty, at_end, in_place };  // at_end: after what the file holds; in_place: over it
  explicit OutputFile(std::filesystem::path path, Begin begin = Begin::empty);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes);
  void write_at(uint64_t offset, std::span<const std::byte> bytes);  // over what was written; size() stays
  uint64_t size() const { return size_; }                            // written through this object
  void resize(uint64_t bytes);  // the file's length; what was not written yet is zero
  void close(bool sync = true);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// A read-only view of a whole file; pages are read when touched.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Held for the life of a run: a second holder of the same path gets an Error that names the first one's
// process.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace esmscale
