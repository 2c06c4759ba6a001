#include "esmscale/core/files/output_set.h"

#include "esmscale/core/text.h"

#include <algorithm>

namespace esmscale {

namespace fs = std::filesystem;

namespace {

const char* kind_of(fs::file_status there) {
  if (fs::is_regular_file(there)) return "a file";
  if (fs::is_directory(there)) return "a folder";
  return fs::is_symlink(there) ? "a link" : "a device or a pipe";
}

void require_no_folder(const fs::path& file) {
  if (!fs::is_directory(fs::symlink_status(file))) return;
  throw Error({.where = file.string(),
               .expected = "a new name, or a file to replace",
               .found = "a folder",
               .advice = "move it away, or choose another folder for the results"});
}

}  // namespace

void require_replaceable(const fs::path& path, bool force) {
  std::error_code ignored;  // what cannot be looked at cannot be written either, which is an error then
  const fs::file_status there = fs::symlink_status(path, ignored);
  if (force || !fs::exists(there)) return;
  const bool can_go = fs::is_regular_file(there) || fs::is_directory(there) || fs::is_symlink(there);
  throw Error({.where = path.string(),
               .expected = "nothing of that name",
               .found = kind_of(there),
               .advice = text("give another name", can_go ? ", or --force to replace it" : "")});
}

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
  require_replaceable(path, replaces_);
  make(name.has_parent_path() ? path.parent_path() : folder_);
  files_.push_back(std::make_unique<AtomicOutput>(path));
  OutputFile file(files_.back()->path());
  file.write(content);
  file.close();
}

void OutputSet::add_folder(const fs::path& name) {
  make(folder_ / name);
}

void OutputSet::remove(const fs::path& name) {
  require_replaceable(folder_ / name, replaces_);
  removed_.push_back(folder_ / name);
}

void OutputSet::publish() {
  for (const std::unique_ptr<AtomicOutput>& file : files_) require_no_folder(file->target());
  for (const fs::path& old : removed_) require_no_folder(old);
  for (const std::unique_ptr<AtomicOutput>& file : files_) file->publish();
  for (const fs::path& old : removed_) remove_tree(old);
  is_published_ = true;
}

}  // namespace esmscale
