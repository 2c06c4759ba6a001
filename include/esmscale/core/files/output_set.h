// Results of several files in one folder, which replace an earlier result together.
#pragma once

#include "esmscale/core/files/files.h"

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace esmscale {

// The files are written under other names first; publish() then renames all of them, which needs no room.
// Without publish() the folder is as it was before, or absent where it was absent.
class OutputSet {
 public:
  // Touches nothing before the first file.
  explicit OutputSet(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~OutputSet();
  OutputSet(const OutputSet&) = delete;
  OutputSet& operator=(const OutputSet&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

  // `name` is relative to the folder, and may have folders of its own.
  void add(const std::filesystem::path& name, std::string_view content);
  void add_folder(const std::filesystem::path& name);
  // An earlier result's file goes when this one is published.
  void remove(const std::filesystem::path& name) { removed_.push_back(folder_ / name); }

  // In the order of add(): what is added last appears when all else is there.
  void publish();

 private:
  void make(const std::filesystem::path& folder);

  std::filesystem::path folder_;
  std::vector<std::filesystem::path> removed_;
  std::vector<std::filesystem::path> made_;  // parents first
  std::vector<std::unique_ptr<AtomicOutput>> files_;
  bool is_published_ = false;
};

}  // namespace esmscale
