// Scores a model on a holdout's fixed windows and masks, and the predictor by letter frequencies alone on the
// same positions (docs/science.md, section 3). Losses in nats per masked position; errors are per-sequence
// (cluster) standard errors.
#pragma once

#include "esmscale/data/loader/evaluation.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/model/engine.h"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace esmscale::eval {

// One sequence's part of a pattern's sums. `inner` leaves the protein's first residue out, which is M in 93%
// of sequences.
struct SequenceScore {
  int64_t sequence = 0;
  int64_t tokens = 0;
  int64_t masked = 0, hits = 0;
  double loss = 0;  // sum over masked positions
  int64_t inner_masked = 0;
  double inner_loss = 0, inner_baseline = 0;
  double baseline = 0;

  SequenceScore& operator+=(const SequenceScore& other);  // all sums; `sequence` stays
};

// The frequency-only predictor: P(true letter | what is shown) from letter counts.
class LetterBaseline {
 public:
  // Of the 20 standard letters, by letter code: at least 20 counts, more are ignored; a letter never seen
  // counts once. `letter` and `shown` below are codes of them.
  explicit LetterBaseline(std::span<const int64_t> letter_counts);

  double loss_at_mask(int letter) const { return -log_p_[static_cast<size_t>(letter)]; }
  // BERT's pattern where a letter is shown: P(t | s) ∝ ½ p(s) [t = s] + ½ p(t) / 20.
  double loss_at_letter(int letter, int shown) const;

 private:
  std::array<double, 20> p_{}, log_p_{};
};

// One pass over the holdout, by sequence. All ranks call it: they take its batches in turn, and each gets all
// scores. options.tokens is set, to the model's list; with several ranks options.rank and options.ranks
// stay 0 and 1.
std::vector<SequenceScore> score_holdout(model::Engine& engine, const config::ModelConfig& model,
                                         const data::Dataset& holdout, const data::EvaluationOptions& options,
                                         const LetterBaseline& baseline, dist::Ranks& ranks);

// A ratio Σ value / Σ weight over sequences, with its cluster standard error. NaN: the error where only one
// sequence has weight, both where none has.
struct LossEstimate {
  double value = 0, error = 0;
};

// Losses and accuracy are NaN where nothing was masked.
struct PatternResult {
  LossEstimate loss;
  double baseline = 0;          // frequency-only loss on the same positions
  LossEstimate below_baseline;  // baseline − loss, paired, first residue excluded
  double accuracy = 0;
  int64_t masked = 0, tokens = 0, sequences = 0;
  // The part of loss.error that is the masks', which more draws make smaller: the standard deviation of the
  // draws' losses over √draws. NaN for one draw, which does not know it.
  double mask_error = std::numeric_limits<double>::quiet_NaN();
};
PatternResult summarise(std::span<const SequenceScore> scores);
// a − b, paired by sequence. Error unless both have the same sequences in the same order, with as many masked
// positions in each.
LossEstimate paired_difference(std::span<const SequenceScore> a, std::span<const SequenceScore> b);

struct Evaluation {
  std::optional<PatternResult> bert, mask_only;
  std::vector<SequenceScore> bert_scores, mask_only_scores;
};

struct EvaluateOptions {
  std::optional<data::MaskPattern> only;  // both patterns when absent
  double mlm_probability = 0.15;
  int64_t max_sequences = 0;  // 0: all
  int64_t draws = 1;          // sets of masks; sums go over all of them
};
// letter_counts: of the training set, or the holdout's own for an imported model. All ranks call it.
Evaluation evaluate(model::Engine& engine, const config::ModelConfig& model, const data::Dataset& holdout,
                    const EvaluateOptions& options, std::span<const int64_t> letter_counts,
                    dist::Ranks& ranks);

}  // namespace esmscale::eval
