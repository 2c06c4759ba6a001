// A checkpoint: a folder with tensors.safetensors (weights, inv_freq and, when training, averages of the
// weights and the state of the optimiser) and checkpoint.json, written last. Independent of the number of
// ranks (docs/formats.md).
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/model/weights.h"
#include "esmscale/optim/averages.h"
#include "esmscale/optim/optimizer.h"

#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace esmscale::checkpoint {

inline constexpr int kCheckpointVersion = 1;

// How far a run has come.
struct RunPosition {
  int64_t step = 0;                   // optimizer updates, skipped ones included
  int64_t tokens = 0, sequences = 0;  // consumed
  double flops = 0, flops_6nd = 0;    // training FLOPs so far (science.md, section 5)
};

// Contents of checkpoint.json, apart from checksums: all that a run needs to resume, and all that a reader of
// a result needs.
struct CheckpointInfo : RunPosition {
  config::RunConfig config;  // resolved; model.alphabet is the order of the embedding's rows
  int64_t updates = 0;       // updates applied: Adam's step count
  data::DataState data;      // where the data order resumes
  int data_order_version = 0;
  int64_t bad_steps = 0, bad_in_a_row = 0;  // non-finite steps skipped so far; of them the last ones
  std::string dataset_hash;                 // of the training set's manifest; "" when imported
  std::array<int64_t, 25> letter_counts{};  // of the training set, for baselines; all 0 when imported
  std::string holdout_label;                // how far the holdout was checked against the training set
  std::optional<double> holdout_loss;       // evaluated at this step, nats; absent when it is no number
  double best_holdout_loss = 0;             // of the run so far, and its step; 0: none yet
  int64_t best_step = -1;
  std::string parent;  // the checkpoint or folder this run began from
  std::string origin;  // imported models: their config.json and what else export must give back
};

// Written under another name and renamed; free disk is checked first. All ranks call it at the same step:
// each writes a share of the weights (its shard of the masters, where they are sharded) and `mine` into the
// one file and checks its share of the bytes, and rank 0 publishes. The ranks' states together cover once
// what info.config.optimizer remembers and the averages of info.config.average; if rank 0's has no
// moments, the checkpoint holds weights only. When the disk is full for one rank, all get a NoRoom, and
// nothing is left of the attempt.
void save_checkpoint(const std::filesystem::path& folder, const CheckpointInfo& info,
                     const model::Weights& weights, std::span<const optim::StatePart> mine,
                     dist::Ranks& ranks);
// One process, weights only.
void save_checkpoint(const std::filesystem::path& folder, const CheckpointInfo& info,
                     const model::Weights& weights);

// Replaces the checkpoint.json of an existing checkpoint; its tensors stay.
void rewrite_info(const std::filesystem::path& folder, const CheckpointInfo& info);

struct CheckpointContents {
  CheckpointInfo info;
  bool has_moments = false;                // training can resume from it
  std::vector<optim::WeightSet> averages;  // those that it holds in addition to the weights
};
// Every byte is checked against its checksum, each rank a share of them. Errors name what is damaged,
// missing, newer or of another kind; all ranks get the same one.
CheckpointContents check_checkpoint(const std::filesystem::path& folder, dist::Ranks& ranks);

// One rank's part of a checkpoint that check_checkpoint has checked: many ranks of a node do not read the
// whole file. Each returns the bytes that it has read.
//   weights: those ranges of the master weights, and inv_freq; the other weights stay as they are
//   optimizer: the state of the parameters that this rank updates, at stage 0 all of it
//   averages: those that the checkpoint holds; others stay as they are
int64_t restore(const model::Weights& weights, std::span<const config::FlatRange> ranges,
                const std::filesystem::path& folder);
int64_t restore(optim::Optimizer& optimizer, const std::filesystem::path& folder, const CheckpointInfo& info,
                const std::vector<config::Parameter>& table);
int64_t restore(optim::Averages& averages, const std::filesystem::path& folder,
                const std::vector<config::Parameter>& table);

struct Checkpoint : CheckpointContents {
  model::Weights weights;  // whole, on the CPU
};
// One process: checked and read. `set`: which of its weights; a usage error when it has no such average.
Checkpoint load_checkpoint(const std::filesystem::path& folder,
                           optim::WeightSet set = optim::WeightSet::trained);
// Reads checkpoint.json only: tensors are neither read nor checked.
CheckpointInfo read_checkpoint_info(const std::filesystem::path& folder);

// The usage error for an average that a model does not have.
[[noreturn]] void refuse_average(const std::filesystem::path& path, optim::WeightSet wanted,
                                 std::span<const optim::WeightSet> there);

bool is_checkpoint(const std::filesystem::path& folder);  // checkpoint.json is there

// The checkpoint that a --checkpoint argument names: itself, or the newest one of a run folder. Error when it
// is neither.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

// Calls `read` with that checkpoint. A running run may remove the checkpoint meanwhile: `read` then gets the
// newest one.
template <class Read>
auto read_resolved(const std::filesystem::path& path, const Read& read) {
  for (;;) {
    const std::filesystem::path found = resolve_checkpoint(path);
    try {
      return read(found);
    } catch (const Error&) {
      if (is_checkpoint(found)) throw;
    }
  }
}

}  // namespace esmscale::checkpoint
