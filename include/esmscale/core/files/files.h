// Files that are whole or absent: written under another name, synced, renamed. Every failure is an
// esmscale::Error that names the path and the system's reason.
//
// Nothing here writes to, empties or removes what a symbolic link points to: a link in the place of a file
// that is to be written is an Error, and a link that is to be removed goes itself. Links above the last name
// of a path are followed.
#pragma once

#include "esmscale/core/error.h"
#include "esmscale/core/files/interruption.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

namespace esmscale {

// The disk or a quota is full: the same may succeed later. All that writes here, and require_free_space(),
// throw it.
class NoRoom : public Error {
 public:
  using Error::Error;
};

// A regular file, or a pipe to its end. Error for other kinds, for a pipe that no program opens for writing
// within kPipePatience, and for more than kLongestRead bytes.
std::string read_file(const std::filesystem::path& path);
inline constexpr std::chrono::seconds kPipePatience{10};
inline constexpr size_t kLongestRead = size_t{4} << 30;

// The same in pieces, of any length.
void read_pieces(const std::filesystem::path& path, const std::function<void(std::string_view)>& take);

// For what is read several times: usage error for a pipe, or "-", which give their bytes once. `why` says who
// reads it.
void require_no_pipe(const std::filesystem::path& path, std::string_view why);

// A file or pipe, opened for reading: never waits longer than kPipePatience for a pipe's writer. The caller
// owns the descriptor. `begun` holds bytes that were read while waiting.
struct OpenedInput {
  int descriptor = -1;
  std::string begun{};
};
OpenedInput open_input(const std::filesystem::path& path);

// Opens a regular file for reading; the caller owns the descriptor. Error for any other kind.
int open_regular(const std::filesystem::path& path);
void require_regular(const std::filesystem::path& path);

// True for what names a file within a folder: no "/", not "", "." or "..".
bool is_file_name(std::string_view name);

// Publishes `content` at `path`: a reader sees the old file or the new one, never a part.
void write_file(const std::filesystem::path& path, std::string_view content);

// Makes a folder and its parents; one that exists already is fine, also through a link.
void make_folder(const std::filesystem::path& path);
// The same for a folder whose content is ours to replace: a link in its place is an Error.
void make_own_folder(const std::filesystem::path& path);

// Removes a file, a link, or a folder with all that is in it; fine when nothing is there.
void remove_tree(const std::filesystem::path& path);
// The same as far as it goes, for clean-up after a failure.
void discard(const std::filesystem::path& path) noexcept;

void sync_directory(const std::filesystem::path& path);
// Renames (a file over a file, a folder over an empty folder, or to a new name) and syncs the parent unless
// `sync` is false.
void publish(const std::filesystem::path& from, const std::filesystem::path& path, bool sync = true);

// A file or folder that is made at TARGET.esmscale-partial and appears at TARGET, whole, by publish().
// Without publish() the destructor removes it; what a killed process left there is removed first.
class AtomicOutput {
 public:
  explicit AtomicOutput(std::filesystem::path target);
  ~AtomicOutput();
  AtomicOutput(const AtomicOutput&) = delete;
  AtomicOutput& operator=(const AtomicOutput&) = delete;

  static constexpr const char* kExtension = ".esmscale-partial";
  static std::filesystem::path path_of(const std::filesystem::path& target);
  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& target() const { return target_; }
  void publish();

 private:
  std::filesystem::path target_, path_;
  bool published_ = false;
  OnInterruption on_interruption_;
};

// Removes a folder and all that is in it. Killed half way it leaves TARGET.esmscale-partial, which no reader
// takes for the folder.
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
  // The same, and when it fails the file ends where it ended before.
  void append_whole(std::string_view bytes);
  void write_at(uint64_t offset, std::span<const std::byte> bytes);  // over what was written; size() stays
  uint64_t size() const { return size_; }                            // written through this object
  void resize(uint64_t bytes);  // the file's length; what was not written yet is zero
  void close(bool sync = true);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// A read-only view of a whole file; pages are read when touched. One that cannot be read then, as its disk
// fails or the file was cut short meanwhile, ends the process: with exit code 1 and an error that names the
// file. The words before its name are "error: ", or those that were given last.
void begin_mapping_errors_with(std::string_view words);
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
// process. On a file system without locks nothing is held.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  bool is_held() const { return is_held_; }  // false: the file system has no locks

 private:
  int descriptor_ = -1;
  bool is_held_ = false;
};

enum class LockState { free, held, unsupported };
// Takes the lock for a moment, shared, and follows no link. A file that is not there is free.
LockState probe_lock(const std::filesystem::path& path);

}  // namespace esmscale
