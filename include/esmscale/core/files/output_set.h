// Results of several files in one folder, which replace an earlier result together.
#pragma once

#include "esmscale/core/files/files.h"

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace esmscale {

// Error, which names --force, when something is at `path`, unless `force`.
void require_replaceable(const std::filesystem::path& path, bool force);

// The files are written under other names first; publish() then renames all of them, which needs no room.
// Without publish() the folder is as it was before, or absent where it was absent.
class OutputSet {
 public:
  // Touches nothing before the first file. Without `replaces` a name that is taken is an Error of add() and
  // remove().
  explicit OutputSet(std::filesystem::path folder, bool replaces = true)
      : folder_(std::move(folder)), replaces_(replaces) {}
  ~OutputSet();
  OutputSet(const OutputSet&) = delete;
  OutputSet& operator=(const OutputSet&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

  // `name` is relative to the folder, and may have folders of its own.
  void add(const std::filesystem::path& name, std::string_view content);
  void add_folder(const std::filesystem::path& name);
  // An earlier result's file goes when this one is published.
  void remove(const std::filesystem::path& name);

  // In the order of add(): what is added last appears when all else is there. Error, before the first of them
  // is replaced, where a folder has the name of a file.
  void publish();

 private:
  void make(const std::filesystem::path& folder);

  std::filesystem::path folder_;
  bool replaces_;
  std::vector<std::filesystem::path> removed_;
  std::vector<std::filesystem::path> made_;  // parents first
  std::vector<std::unique_ptr<AtomicOutput>> files_;
  bool is_published_ = false;
};

}  // namespace esmscale
