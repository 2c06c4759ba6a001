// An output folder whose data set appears whole or not at all.
#pragma once

#include "esmscale/core/files/files.h"

#include <filesystem>
#include <optional>
#include <vector>

namespace esmscale::data {

// Everything is made in a hidden folder inside the output, on the same file system. publish() moves it up,
// the manifest last. Without it the output is left as it was found.
class StagedFolder {
 public:
  // Error when the output is a file, holds something that is no data set, or a data set and `force` is false.
  // Only a data set's files are ever removed.
  StagedFolder(const std::filesystem::path& output, bool force);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::filesystem::path& output() const { return output_; }
  std::filesystem::path set() const { return stage_ / "set"; }              // the new data set
  std::filesystem::path temporary() const { return stage_ / "temporary"; }  // gone in the end

  void publish();

 private:
  void check_content(bool force) const;
  void discard_all() const;
  void clear_stage();
  void remove_old_set() const;

  std::filesystem::path output_, stage_;
  std::vector<std::filesystem::path> made_;  // folders that were not there before, the deepest last
  std::optional<FileLock> lock_;
  std::optional<OnInterruption> on_interruption_;
};

}  // namespace esmscale::data
