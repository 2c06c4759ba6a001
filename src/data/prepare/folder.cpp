#include "data/prepare/folder.h"

#include "esmscale/core/error.h"
#include "esmscale/data/dataset/format.h"
#include "esmscale/data/dataset/manifest.h"

#include <algorithm>
#include <string>

#include <nlohmann/json.hpp>

namespace esmscale::data {
namespace {

namespace fs = std::filesystem;

// True for the names of a data set's files.
bool is_ours(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name == kManifestName) return true;
  for (const FileKind kind : {FileKind::lengths, FileKind::index, FileKind::identifiers,
                              FileKind::fingerprints, FileKind::clusters})
    if (name == file_name(kind)) return true;
  return name.starts_with("shard-") && name.ends_with(".zst") &&
         name.size() >= file_name(FileKind::shard).size();
}

bool is_stage(const fs::path& path) {
  return path.filename() == kStageName;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code reason;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, reason))
    entries.push_back(entry.path());
  if (reason)
    throw Error(
        {.where = folder.string(), .expected = "a folder that can be read", .found = reason.message()});
  return entries;
}

// A manifest alone may be any program's.
bool is_another_manifest(const fs::path& folder) {
  if (!fs::exists(folder / kManifestName) || fs::exists(folder / file_name(FileKind::lengths))) return false;
  const Json document = read_json(folder / kManifestName);
  return !document.is_object() || !document.contains("format") || document["format"] != kDatasetFormat;
}

}  // namespace

StagedFolder::StagedFolder(const fs::path& output, bool force)
    : output_(fs::absolute(output).lexically_normal()) {
  if (!output_.has_filename()) output_ = output_.parent_path();  // "DIR/"
  stage_ = output_ / kStageName;
  std::error_code reason;  // a path that cannot be looked at fails below, where the folder is made
  for (fs::path missing = output_; !fs::exists(missing, reason) && missing.has_relative_path();
       missing = missing.parent_path())
    made_.push_back(missing);
  std::reverse(made_.begin(), made_.end());
  if (made_.empty()) check_content(force);
  try {
    make_own_folder(stage_);
    lock_.emplace(stage_ / "lock");
    clear_stage();
    on_interruption_.emplace([this] { discard_all(); });
    make_folder(set());
    make_folder(temporary());
  } catch (...) {
    // Another process at work in there keeps its files: only what is empty goes.
    std::error_code ignored;
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) fs::remove(*made, ignored);
    throw;
  }
}

StagedFolder::~StagedFolder() {
  on_interruption_.reset();
  discard_all();
}

void StagedFolder::discard_all() const {
  discard(stage_);
  std::error_code ignored;
  for (auto made = made_.rbegin(); made != made_.rend(); ++made) fs::remove(*made, ignored);  // if empty
}

void StagedFolder::check_content(bool force) const {
  if (!fs::is_directory(output_))
    throw Error({.where = output_.string(),
                 .expected = "a folder to write to",
                 .found = "a file",
                 .advice = "choose another name"});
  std::vector<fs::path> entries = entries_of(output_);
  std::erase_if(entries, is_stage);
  if (entries.empty()) return;
  const auto other = std::find_if_not(entries.begin(), entries.end(), is_ours);
  if (other != entries.end() || is_another_manifest(output_))
    throw Error({.where = output_.string(),
                 .expected = "an empty folder, or a data set to replace",
                 .found = "other files, such as " +
                          (other != entries.end() ? *other : entries[0]).filename().string(),
                 .advice = "choose another folder"});
  const bool has_manifest = fs::exists(output_ / kManifestName);
  if (!force)
    throw Error({.where = output_.string(),
                 .expected = "an empty or absent folder",
                 .found = has_manifest ? "a data set" : "what is left of a data set",
                 .advice = "give --force to replace it, or choose another folder"});
}

void StagedFolder::clear_stage() {
  for (const fs::path& entry : entries_of(stage_))
    if (entry.filename() != "lock") remove_tree(entry);
}

void StagedFolder::remove_old_set() const {
  // The manifest first: without it, what remains is no data set.
  remove_tree(output_ / kManifestName);
  for (const fs::path& entry : entries_of(output_))
    if (is_ours(entry)) remove_tree(entry);
}

void StagedFolder::publish() {
  sync_directory(set());
  remove_old_set();
  for (const fs::path& entry : entries_of(set()))
    if (entry.filename() != kManifestName)
      esmscale::publish(entry, output_ / entry.filename(), /*sync=*/false);
  sync_directory(output_);
  esmscale::publish(set() / kManifestName, output_ / kManifestName);
  made_.clear();
}

}  // namespace esmscale::data
