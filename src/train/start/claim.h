// Rank 0's hold on the run folder.
#pragma once

#include "esmscale/core/files/files.h"
#include "esmscale/run/lease.h"
#include "esmscale/run/run_folder.h"

#include <filesystem>
#include <memory>
#include <vector>

namespace esmscale::train {

// Makes the folder, and holds its lock and its lease (a lock may not reach another node) while it lives. A
// start that is refused or interrupted leaves the file system as it was: unless keep() was called, folders,
// lock and logs that were absent before are removed.
class RunClaim {
 public:
  // Error when another process holds the folder, or when it cannot be made.
  explicit RunClaim(const run::RunFolder& folder);
  ~RunClaim();
  RunClaim(const RunClaim&) = delete;
  RunClaim& operator=(const RunClaim&) = delete;

  void keep() { is_kept_ = true; }  // the run has begun

 private:
  void remove_new() const;

  std::vector<std::filesystem::path> new_folders_;  // the run's own first, then its parents
  std::vector<std::filesystem::path> new_entries_;  // of the run's folder
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<run::HeldLease> lease_;
  bool is_kept_ = false;
};

}  // namespace esmscale::train
