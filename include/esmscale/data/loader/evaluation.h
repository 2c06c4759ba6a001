// The fixed windows and masks a holdout is scored on: pure functions of its own seed, evaluation length and
// the sequence, the same for every model (docs/data_order.md).
#pragma once

#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/data/loader/masking.h"

#include <cstdint>
#include <memory>

namespace esmscale::data {

struct EvaluationOptions {
  MaskPattern pattern = MaskPattern::bert;
  double mlm_probability = 0.15;
  int64_t batch_rows = 8192;  // at most, per PackedBatch (a longer sequence is alone in its batch)
  int64_t max_sequences = 0;  // the first N of the holdout; 0: all
  int rank = 0;               // rank r of n scores sequences r, r + n, …
  int ranks = 1;
  const TokenList* tokens = nullptr;  // null: the 29
  int64_t draw = 0;                   // which set of masks; the windows are the same in all
};

// Walks over a holdout once, in its order. Windows have at most eval_length residues + START + END. Both
// patterns choose the same positions. Batches end where the sequences end (no inert room). A failed read is
// tried again as in training.
class EvaluationBatches {
 public:
  // Usage error when rank and ranks contradict each other or the probability is not in [0, 1]. `holdout` must
  // outlive this.
  EvaluationBatches(const Dataset& holdout, const EvaluationOptions& options);
  ~EvaluationBatches();

  bool next(PackedBatch& batch);  // false at the end

  // The residue of `sequence` that its window begins with; 0 when it fits whole.
  int64_t window_begin(int64_t sequence) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace esmscale::data
