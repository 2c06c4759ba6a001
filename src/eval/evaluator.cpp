#include "esmscale/eval/evaluator.h"

#include "esmscale/core/error.h"
#include "esmscale/dist/any_rank.h"
#include "esmscale/eval/stoppable.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/ops/log_softmax.h>

namespace esmscale::eval {
namespace {

int letter_of(int32_t token, const data::TokenList& tokens) {
  return token - tokens.letter(0);
}

// Adds a batch's masked positions to the scores of their sequences.
class Scorer {
 public:
  Scorer(const data::TokenList& tokens, const LetterBaseline& baseline,
         const data::EvaluationBatches& batches)
      : tokens_(tokens), baseline_(baseline), batches_(batches) {}

  void add(const data::PackedBatch& batch, const at::Tensor& log_p_MV, std::vector<SequenceScore>& scores) {
    const auto log_p = log_p_MV.accessor<double, 2>();
    const at::Tensor best_M = log_p_MV.argmax(1);
    const int64_t* best = best_M.data_ptr<int64_t>();
    size_t m = 0;
    for (size_t i = 0; i < batch.sequences.size(); ++i) {
      SequenceScore score{.sequence = batch.sequences[i],
                          .tokens = batch.cu_seqlens[i + 1] - batch.cu_seqlens[i]};
      // A window from the middle of a protein has no first residue.
      const int32_t first_residue =
          batches_.window_begin(batch.sequences[i]) == 0 ? batch.cu_seqlens[i] + 1 : -1;
      for (; m < batch.masked_rows.size() && batch.masked_rows[m] < batch.cu_seqlens[i + 1]; ++m) {
        const int32_t row = batch.masked_rows[m], target = batch.targets[m];
        add_position(score, -log_p[static_cast<int64_t>(m)][target], baseline_at(target, batch.tokens[row]),
                     best[m] == target, row == first_residue);
      }
      scores.push_back(score);
    }
  }

 private:
  double baseline_at(int32_t target, int32_t shown) const {
    const int letter = letter_of(target, tokens_);
    return shown == tokens_.mask() ? baseline_.loss_at_mask(letter)
                                   : baseline_.loss_at_letter(letter, letter_of(shown, tokens_));
  }

  static void add_position(SequenceScore& score, double loss, double baseline, bool hit,
                           bool is_first_residue) {
    ++score.masked;
    score.hits += hit;
    score.loss += loss;
    score.baseline += baseline;
    if (is_first_residue) return;
    ++score.inner_masked;
    score.inner_loss += loss;
    score.inner_baseline += baseline;
  }

  const data::TokenList& tokens_;
  const LetterBaseline& baseline_;
  const data::EvaluationBatches& batches_;
};

// r = Σ v / Σ w over clusters, with the linearised (delta-method) error √(n/(n−1) Σ (v − r w)²) / Σ w. Where
// all weight is one cluster's, r is its own and the residuals are zero: that says nothing of other clusters.
template <class Value, class Weight>
LossEstimate ratio(size_t n, Value&& value, Weight&& weight) {
  double values = 0, weights = 0, squares = 0;
  size_t weighted = 0;
  for (size_t i = 0; i < n; ++i) {
    values += value(i);
    weights += weight(i);
    weighted += weight(i) > 0;
  }
  if (weights == 0) return {NAN, NAN};  // nothing was masked
  const double r = values / weights;
  if (weighted == 1) return {r, NAN};
  for (size_t i = 0; i < n; ++i) squares += std::pow(value(i) - r * weight(i), 2);
  const double correction = static_cast<double>(n) / static_cast<double>(n - 1);
  return {r, std::sqrt(correction * squares) / weights};
}

// All ranks' scores, by sequence: the sums over them do not depend on who scored what.
std::vector<SequenceScore> gather(const std::vector<SequenceScore>& mine, dist::Ranks& ranks) {
  static_assert(std::is_trivially_copyable_v<SequenceScore>);
  const std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(SequenceScore));
  std::vector<SequenceScore> all;
  for (const std::string& part : ranks.exchange("scores of the holdout", bytes)) {
    const size_t before = all.size();
    all.resize(before + part.size() / sizeof(SequenceScore));
    std::memcpy(all.data() + before, part.data(), part.size());
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
  return all;
}

// Batches of a rank between two questions whether to stop: a question costs a few milliseconds.
constexpr int kBatchesPerQuestion = 8;

bool is_stopped_at(int number, const std::function<bool()>& stops, dist::Ranks& ranks) {
  const int every = ranks.size() == 1 ? 1 : kBatchesPerQuestion * ranks.size();
  return number % every == 0 && dist::is_true_of_any(ranks, "a stop of the evaluation", stops());
}

std::optional<std::vector<SequenceScore>> score_unless(const std::function<bool()>& stops,
                                                       model::Engine& engine,
                                                       const config::ModelConfig& model,
                                                       const data::Dataset& holdout,
                                                       const data::EvaluationOptions& options,
                                                       const LetterBaseline& baseline, dist::Ranks& ranks) {
  const data::TokenList& tokens = *options.tokens;
  data::EvaluationBatches batches(holdout, options);
  Scorer scorer(tokens, baseline, batches);
  std::vector<SequenceScore> scores;
  const at::Device device = engine.device();
  data::PackedBatch batch;
  for (int number = 0; batches.next(batch); ++number) {
    if (is_stopped_at(number, stops, ranks)) return std::nullopt;
    if (number % ranks.size() != ranks.rank()) continue;
    const model::DeviceBatch on_device = model::to_device(batch, model, tokens, device);
    const at::Tensor hidden_MD = engine.hidden(on_device).index_select(0, on_device.masked_rows_M);
    const at::Tensor logits_MV = engine.logits(hidden_MD).to(at::kCPU).to(at::kDouble);
    scorer.add(batch, at::log_softmax(logits_MV, 1), scores);
  }
  return gather(scores, ranks);
}

bool never() {
  return false;
}

}  // namespace

LetterBaseline::LetterBaseline(std::span<const int64_t> letter_counts) {
  double total = 0;
  for (size_t i = 0; i < p_.size(); ++i)
    total += p_[i] = static_cast<double>(std::max<int64_t>(1, letter_counts[i]));
  for (size_t i = 0; i < p_.size(); ++i) {
    p_[i] /= total;
    log_p_[i] = std::log(p_[i]);
  }
}

double LetterBaseline::loss_at_letter(int letter, int shown) const {
  const double random = 0.5 / static_cast<double>(p_.size());
  const auto joint = [&](int t) { return p_[static_cast<size_t>(t)] * ((t == shown ? 0.5 : 0.0) + random); };
  return -std::log(joint(letter) / (0.5 * p_[static_cast<size_t>(shown)] + random));
}

std::vector<SequenceScore> score_holdout(model::Engine& engine, const config::ModelConfig& model,
                                         const data::Dataset& holdout, const data::EvaluationOptions& options,
                                         const LetterBaseline& baseline, dist::Ranks& ranks) {
  return *score_unless(never, engine, model, holdout, options, baseline, ranks);
}

SequenceScore& SequenceScore::operator+=(const SequenceScore& other) {
  tokens += other.tokens;
  masked += other.masked;
  hits += other.hits;
  loss += other.loss;
  inner_masked += other.inner_masked;
  inner_loss += other.inner_loss;
  inner_baseline += other.inner_baseline;
  baseline += other.baseline;
  return *this;
}

PatternResult summarise(std::span<const SequenceScore> scores) {
  PatternResult result;
  double baseline = 0, hits = 0;
  for (const SequenceScore& score : scores) {
    result.masked += score.masked;
    result.tokens += score.tokens;
    baseline += score.baseline;
    hits += static_cast<double>(score.hits);
  }
  const double masked = result.masked > 0 ? static_cast<double>(result.masked) : NAN;
  result.sequences = static_cast<int64_t>(scores.size());
  result.baseline = baseline / masked;
  result.accuracy = hits / masked;
  result.loss = ratio(
      scores.size(), [&](size_t i) { return scores[i].loss; },
      [&](size_t i) { return static_cast<double>(scores[i].masked); });
  result.below_baseline = ratio(
      scores.size(), [&](size_t i) { return scores[i].inner_baseline - scores[i].inner_loss; },
      [&](size_t i) { return static_cast<double>(scores[i].inner_masked); });
  return result;
}

LossEstimate paired_difference(std::span<const SequenceScore> a, std::span<const SequenceScore> b) {
  const bool same =
      a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
        return x.sequence == y.sequence && x.masked == y.masked;
      });
  if (!same)
    throw Error({.where = "paired comparison",
                 .expected = "the same masked positions for both models",
                 .found = "others"});
  return ratio(
      a.size(), [&](size_t i) { return a[i].loss - b[i].loss; },
      [&](size_t i) { return static_cast<double>(a[i].masked); });
}

namespace {

// Sums over the draws, by sequence; its tokens count once.
void add_draw(std::vector<SequenceScore>& sums, const std::vector<SequenceScore>& draw) {
  for (size_t i = 0; i < sums.size(); ++i) {
    const int64_t tokens = sums[i].tokens;
    sums[i] += draw[i];
    sums[i].tokens = tokens;
  }
}

double error_of_mean(const std::vector<double>& losses) {
  const auto n = static_cast<double>(losses.size());
  if (n < 2) return NAN;
  double mean = 0, squares = 0;
  for (const double loss : losses) mean += loss / n;
  for (const double loss : losses) squares += (loss - mean) * (loss - mean);
  return std::sqrt(squares / (n - 1) / n);
}

}  // namespace

Evaluation evaluate(model::Engine& engine, const config::ModelConfig& model, const data::Dataset& holdout,
                    const EvaluateOptions& options, std::span<const int64_t> letter_counts,
                    dist::Ranks& ranks) {
  return *evaluate_unless(never, engine, model, holdout, options, letter_counts, ranks);
}

std::optional<Evaluation> evaluate_unless(const std::function<bool()>& stops, model::Engine& engine,
                                          const config::ModelConfig& model, const data::Dataset& holdout,
                                          const EvaluateOptions& options,
                                          std::span<const int64_t> letter_counts, dist::Ranks& ranks) {
  const LetterBaseline baseline(letter_counts);
  const auto pass = [&](data::MaskPattern pattern,
                        std::vector<SequenceScore>& scores) -> std::optional<PatternResult> {
    std::vector<double> losses;
    for (int64_t draw = 0; draw < options.draws; ++draw) {
      std::optional<std::vector<SequenceScore>> of_draw =
          score_unless(stops, engine, model, holdout,
                       {.pattern = pattern,
                        .mlm_probability = options.mlm_probability,
                        .max_sequences = options.max_sequences,
                        .tokens = &data::TokenList::of(model.alphabet),
                        .draw = draw},
                       baseline, ranks);
      if (!of_draw) return std::nullopt;
      losses.push_back(summarise(*of_draw).loss.value);
      if (draw == 0)
        scores = std::move(*of_draw);
      else
        add_draw(scores, *of_draw);
    }
    PatternResult result = summarise(scores);
    result.mask_error = error_of_mean(losses);
    return result;
  };
  Evaluation evaluation;
  if (options.only != data::MaskPattern::mask_only) {
    evaluation.bert = pass(data::MaskPattern::bert, evaluation.bert_scores);
    if (!evaluation.bert) return std::nullopt;
  }
  if (options.only != data::MaskPattern::bert) {
    evaluation.mask_only = pass(data::MaskPattern::mask_only, evaluation.mask_only_scores);
    if (!evaluation.mask_only) return std::nullopt;
  }
  return evaluation;
}

}  // namespace esmscale::eval
