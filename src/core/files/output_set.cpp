#include "esmscale/core/files/output_set.h"

#include <algorithm>

namespace esmscale {

namespace fs = std::filesystem;

OutputSet::~OutputSet() {
  files_.clear();  // removes what was not published
  if (is_published_) return;
  std::error_code ignored;  // another process may have put something there, which stays
  for (auto made = made_.rbegin(); made != made_.rend(); ++made) fs::remove(*made, ignored);
}

void OutputSet::make(const fs::path& folder) {
  std::vector<fs::path> missing;
  std::error_code ignored;  // a path that cannot be looked at cannot be made either
  for (fs::path path = fs::absolute(folder / "").parent_path();
       !fs::exists(path, ignored) && path.has_relative_path(); path = path.parent_path())
    missing.push_back(path);
  made_.insert(made_.end(), missing.rbegin(), missing.rend());
  if (folder == folder_)
    make_folder(folder);  // the user's, which may be a link
  else
    make_own_folder(folder);
}

void OutputSet::add(const fs::path& name, std::string_view content) {
  const fs::path path = folder_ / name;
  make(name.has_parent_path() ? path.parent_path() : folder_);
  files_.push_back(std::make_unique<AtomicOutput>(path));
  OutputFile file(files_.back()->path());
  file.write(content);
  file.close();
}

void OutputSet::add_folder(const fs::path& name) {
  make(folder_ / name);
}

void OutputSet::publish() {
  for (const std::unique_ptr<AtomicOutput>& file : files_) file->publish();
  for (const fs::path& old : removed_) remove_tree(old);
  is_published_ = true;
}

}  // namespace esmscale
