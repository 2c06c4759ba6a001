// A run's folder and the names in it (docs/run_folder.md): its configuration, results and checkpoints.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::run {

// The file of a checkpoint's folder that is written last: a checkpoint that has it is whole.
inline constexpr const char* kCheckpointMetadata = "checkpoint.json";

struct CheckpointFolder {
  int64_t step = 0;
  std::filesystem::path path;
};

class RunFolder {
 public:
  // Touches nothing.
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.json"; }
  std::filesystem::path environment() const { return path_ / "environment.json"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path lock_file() const { return path_ / "lock"; }
  std::filesystem::path logs() const {
    return path_ / "logs";
  }                                             // rank-0000.log, …, of runs with several ranks
  std::filesystem::path trace(int rank) const;  // trace.json, of other ranks trace-rank-0002.json
  std::filesystem::path tensorboard() const { return path_ / "tensorboard"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path checkpoint(int64_t step) const;  // checkpoints/step-00001200

  bool is_run() const;    // holds a config.json
  bool is_empty() const;  // absent, or holds only a lock, logs and leftovers of a killed start

  // Makes the folder. The lock lasts as long as what is returned; a second holder gets an Error.
  FileLock lock() const;

  // The resolved configuration, so that `train --config RUN/config.json` is the same run again.
  void write_config(const config::RunConfig& config) const;
  // An Error when the folder holds no run.
  config::RunConfig read_config() const;

  // Adds one start to environment.json: a list with one record (environment.h) a start, the newest last.
  void add_start(const Json& record) const;
  // Writes into the newest record why that start ended, under "ended": a signal's name, an error, "finished".
  // Nothing before any start.
  void note_end(const std::string& why) const;
  // The newest record; {} before any. An Error when the file is not such a list.
  Json last_start() const;
  // The model of train --init-from, as given at any start; "" for fresh weights or a branch.
  std::string initial_weights() const;

  // Published checkpoints, the newest first. Other folders (one still being written, other names) are
  // skipped.
  std::vector<CheckpointFolder> list_checkpoints() const;
  std::optional<CheckpointFolder> newest_checkpoint() const;
  // Leftovers of a process that was killed while it wrote or removed a file or a checkpoint, and folders with
  // a checkpoint's name that are none (a copy that was cut short). Files and checkpoints are published and
  // removed whole, by one rename, so no process uses a leftover. It would block the checkpoint of its
  // step.
  std::vector<std::filesystem::path> list_leftovers() const;

 private:
  Json starts() const;
  std::filesystem::path path_;
};

}  // namespace esmscale::run
