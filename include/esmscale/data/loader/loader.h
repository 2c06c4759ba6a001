// From a data set to global batches: order, crop, pack, mask, on threads ahead of the trainer. Order, crops,
// masks and packing are pure functions of (seed, epoch, sequence), the lengths and, with ramps, the tokens
// consumed (docs/data_order.md).
#pragma once

#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/data/loader/ramp.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace esmscale::data {

// Version of the rule in docs/data_order.md. Without clusters it is the same as the one before.
inline constexpr int kDataOrderVersion = 2, kDataOrderWithoutClusters = 1;

// The version of the rule that orders this data set; kept in checkpoints.
int data_order_version(const Dataset& dataset);

// The number of attempts to read a sequence before a failure is an Error, and the first pause between them.
// Each pause is four times the one before.
struct ReadPatience {
  int attempts = 3;
  double pause_seconds = 1;
};

struct LoaderOptions {
  uint64_t seed = 1;
  int64_t sequences = 0;           // the first N of the data set, or clusters of it; 0: all
  int64_t max_seq_len = 1024;      // rows of the longest crop, START and END included
  int64_t pack_tokens = 2048;      // rows of a pack
  int64_t batch_tokens = 524288;   // rows of a global batch: a multiple of pack_tokens
  int64_t first_batch_tokens = 0;  // of the first one (ramp.h); 0: batch_tokens
  int64_t batch_warmup_tokens = 0;
  int64_t micro_batch_tokens = 0;  // rows of a micro-batch on one rank: a multiple of pack_tokens
  int64_t epochs = 1;
  double mlm_probability = 0.15;
  double final_mlm_probability = 0;  // after planned_tokens (ramp.h); 0: mlm_probability throughout
  int64_t planned_tokens = 0;        // of the whole run
  int64_t tokens_before = 0;         // consumed when the loader begins
  int rank = 0;
  int ranks = 1;
  int threads = 1;            // for reading and masking; one more plans
  bool fixed_shapes = false;  // CUDA: every micro-batch has the shape fixed_shape(), the rest inert room
  const TokenList* tokens = nullptr;  // null: the 29
  ReadPatience patience{};
};

BatchRamp batch_ramp(const LoaderOptions& options);
MaskRamp mask_ramp(const LoaderOptions& options);

class Loader {
 public:
  // Starts reading at once. Usage error, all that is wrong in it, when the options contradict each other, the
  // data set or `from`. `dataset` must outlive the loader.
  Loader(const Dataset& dataset, const LoaderOptions& options, DataState from = {});
  ~Loader();  // does not wait for reads that have not begun

  // The next global batch, or nullopt after the last epoch's last (incomplete) batch. The error of a read is
  // thrown when its batch is due, and again by every later call. The loader prepares up to a million rows of
  // this rank (2 to 64 batches) ahead, and one more batch for each thread.
  std::optional<GlobalBatch> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One Error for all that is wrong with them, as a Loader throws it.
void check_loader_options(const Dataset& dataset, const LoaderOptions& options, DataState from = {});

// Real tokens of an epoch, cropped: Σ n and Σ n². With clusters, the mean over options.epochs as they are
// drawn, Σ n rounded down. Reads the whole mapped length file, with clusters once for each epoch.
struct EpochTokens {
  int64_t tokens = 0;
  double squared = 0;
};
EpochTokens tokens_per_epoch(const Dataset& dataset, const LoaderOptions& options);

// Real tokens of all sequences that some epoch may train, cropped.
int64_t unique_tokens(const Dataset& dataset, const LoaderOptions& options);

// Residues of the sequences of an epoch, without crops; `sequences` as in LoaderOptions. With clusters, those
// of epoch 0 by seed 1.
std::vector<uint32_t> epoch_lengths(const Dataset& dataset, int64_t sequences = 0);

}  // namespace esmscale::data
