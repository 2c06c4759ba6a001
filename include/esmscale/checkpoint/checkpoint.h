// A checkpoint: a folder with tensors.safetensors (weights, inv_freq and, when training, the state of the
// optimiser) and checkpoint.json, written last. Independent of the number of ranks (docs/formats.md).
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/model/weights.h"
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

// What checkpoint.json holds beside checksums: all that a run needs to go on, and what a result needs to be
// read.
struct CheckpointInfo : RunPosition {
  config::RunConfig config;  // resolved; model.alphabet is the order of the embedding's rows
  int64_t updates = 0;       // updates applied: Adam's step count
  data::DataState data;      // where the data resume
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

// Written under another name and renamed; free disk is checked first. All ranks call it at the same step with
// all weights: each writes its share of them and `mine` into the one file and checks its share of the bytes,
// and rank 0 publishes. The states of all ranks cover what info.config.optimizer remembers once; or rank 0's
// is empty, and the checkpoint holds weights only. Where the disk is full for one rank, all get a NoRoom, and
// nothing is left of the attempt.
void save_checkpoint(const std::filesystem::path& folder, const CheckpointInfo& info,
                     const model::Weights& weights, std::span<const optim::StatePart> mine,
                     dist::Ranks& ranks);
// One process, weights only.
void save_checkpoint(const std::filesystem::path& folder, const CheckpointInfo& info,
                     const model::Weights& weights);

// Of a checkpoint that is there: what is told of the step, its tensors apart.
void rewrite_info(const std::filesystem::path& folder, const CheckpointInfo& info);

struct Checkpoint {
  CheckpointInfo info;
  model::Weights weights;    // on the CPU
  bool has_moments = false;  // training can go on from it
};
// Every byte is checked against its checksum, each rank a share of them. Errors name what is damaged,
// missing, newer or of another kind; all ranks get the same one.
Checkpoint load_checkpoint(const std::filesystem::path& folder, dist::Ranks& ranks);
Checkpoint load_checkpoint(const std::filesystem::path& folder);  // one process
// The optimiser's state of what this rank updates, read part by part: no rank holds the moments of another.
// load_checkpoint has checked the file.
void restore(optim::Optimizer& optimizer, const std::filesystem::path& folder, const CheckpointInfo& info,
             const std::vector<config::Parameter>& table);
CheckpointInfo read_checkpoint_info(const std::filesystem::path& folder);

bool is_checkpoint(const std::filesystem::path& folder);  // checkpoint.json is there

// What a --checkpoint argument means: a checkpoint, or the newest one of a run folder. Error when it is
// neither.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

// What `read` makes of that checkpoint. A run at work may remove its checkpoint meanwhile: then its newest
// one by now is read.
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
