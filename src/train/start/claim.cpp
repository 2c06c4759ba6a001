#include "train/start/claim.h"

namespace esmscale::train {

namespace fs = std::filesystem;

RunClaim::RunClaim(const run::RunFolder& folder) {
  for (fs::path path = fs::absolute(folder.path() / "").parent_path(); !fs::exists(fs::symlink_status(path));
       path = path.parent_path())
    new_folders_.push_back(path);
  for (const fs::path& entry : {folder.path() / "lock", folder.logs()})
    if (!fs::exists(entry)) new_entries_.push_back(entry);
  try {
    lock_.reset(new FileLock(folder.lock()));
    run::wait_for_lease(folder.path(), lock_->is_held());  // of a node that was lost
    lease_ = std::make_unique<run::HeldLease>(folder.path(), lock_->is_held());
  } catch (...) {
    remove_new();
    throw;
  }
}

RunClaim::~RunClaim() {
  lease_.reset();
  if (!is_kept_) remove_new();
}

// While the lock is held, or where it could not be made.
void RunClaim::remove_new() const {
  std::error_code ignored;  // the start has failed: its own reason is the one to report
  if (lock_)
    for (const fs::path& entry : new_entries_) fs::remove_all(entry, ignored);
  for (const fs::path& folder : new_folders_) fs::remove(folder, ignored);  // only while it is empty
}

}  // namespace esmscale::train
