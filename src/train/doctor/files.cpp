#include "esmscale/core/files/files.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "train/doctor/checks.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include <sys/statvfs.h>
#include <unistd.h>

namespace esmscale::train::doctor {
namespace {

namespace fs = std::filesystem;

double seconds_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// A folder that is removed with all that was tried in it. Ranks of several nodes may have one process id.
class TrialFolder {
 public:
  explicit TrialFolder(const fs::path& parent) {
    std::string name = (parent / ".esmscale-doctor-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw io_error(parent, "make a folder in it", errno);
    path_ = name;
  }
  ~TrialFolder() { discard(path_); }
  TrialFolder(const TrialFolder&) = delete;
  TrialFolder& operator=(const TrialFolder&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

// Checkpoints and metrics are published by a rename over what was there.
Check rename_check(const fs::path& folder) {
  const TrialFolder trial(folder);
  write_file(trial / "file", "old");
  write_file(trial / "file", "new");
  const bool is_new = read_file(trial / "file") == "new";
  return {.name = "atomic rename",
          .result = is_new ? CheckResult::ok : CheckResult::error,
          .found = is_new ? "a file replaces another" : "the old file is still there",
          .advice = is_new ? "" : "put runs on another file system: a checkpoint could be lost here"};
}

Check lock_check(const fs::path& folder) {
  const TrialFolder trial(folder);
  const FileLock first(trial / "lock");
  bool is_held = false;
  try {
    const FileLock second(trial / "lock");
  } catch (const Error&) {
    is_held = true;
  }
  return {.name = "locks",
          .result = is_held ? CheckResult::ok : CheckResult::warning,
          .found = is_held ? "a second holder is refused" : "a second holder is not refused",
          .advice = is_held ? "" : "start no two runs in one folder (Lustre: mount with -o flock)"};
}

Check speed_check(const fs::path& folder) {
  constexpr size_t kBytes = size_t{64} << 20;
  constexpr double kSlow = 100e6;
  const TrialFolder trial(folder);
  const std::string block(kBytes, 'x');
  const double large = seconds_of([&] { write_file(trial / "large", block); });
  std::vector<double> small;
  for (int i = 0; i < 7; ++i) small.push_back(seconds_of([&] { write_file(trial / "small", "x"); }));
  std::nth_element(small.begin(), small.begin() + 3, small.end());
  const double rate = static_cast<double>(kBytes) / large;
  return {.name = "fsync",
          .result = rate < kSlow ? CheckResult::warning : CheckResult::ok,
          .found = text(human_bytes(rate), "/s written and synced; ", fixed(1e3 * small[3], 1),
                        " ms for a small file"),
          .advice = rate < kSlow ? "checkpoints take long here: 12 bytes a parameter" : ""};
}

Check space_check(const fs::path& folder) {
  constexpr double kLittle = 10 * 0x1p30;
  struct statvfs system {};
  if (::statvfs(folder.c_str(), &system) != 0) throw io_error(folder, "ask for its free space", errno);
  const double free = static_cast<double>(system.f_bavail) * static_cast<double>(system.f_frsize);
  const bool is_little = free < kLittle;
  return {.name = "free space",
          .result = is_little ? CheckResult::warning : CheckResult::ok,
          .found = text(human_bytes(free), " in ", fs::absolute(folder).lexically_normal().string()),
          .advice = is_little ? "a checkpoint takes 12 bytes a parameter, and three are kept" : ""};
}

}  // namespace

std::vector<Check> file_checks(const fs::path& folder) {
  return {guarded("atomic rename", [&] { return rename_check(folder); }),
          guarded("locks", [&] { return lock_check(folder); }),
          guarded("fsync", [&] { return speed_check(folder); }),
          guarded("free space", [&] { return space_check(folder); })};
}

Check shared_folder_check(const fs::path& folder, dist::Ranks& ranks) {
  constexpr int kTries = 50;
  const fs::path file = folder / ranks.from_first("file", text(".esmscale-doctor-shared-", ::getpid()));
  try {
    if (ranks.is_first()) write_file(file, "from rank 0");
  } catch (const Error&) {  // file_checks says why
  }
  ranks.barrier("a file of rank 0");
  // File systems over a network show a new file a little late.
  bool is_there = false;
  for (int tries = 0; tries < kTries && !is_there; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    is_there = fs::exists(file);
  }
  const std::vector<std::string> seen = ranks.exchange("the file of rank 0", is_there ? "yes" : "no");
  if (ranks.is_first()) discard(file);
  std::vector<std::string> without;
  for (size_t rank = 0; rank < seen.size(); ++rank)
    if (seen[rank] != "yes") without.push_back(std::to_string(rank));
  if (without.empty()) return {.name = "shared folder", .found = "all ranks see it"};
  return {
      .name = "shared folder",
      .result = CheckResult::error,
      .found = text("rank ", join(without, ", "), " does not see a file that rank 0 wrote"),
      .advice = "put data sets and runs on a file system that all nodes share, and name it with --output"};
}

}  // namespace esmscale::train::doctor
