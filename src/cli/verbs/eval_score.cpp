#include "cli/verbs/eval_score.h"

#include "cli/model_flags.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/train/process/device.h"

#include <algorithm>
#include <cmath>

namespace esmscale::cli {
namespace {

// Letter frequencies of the baseline: those of the training set, or of the holdout for a model that has none.
struct BaselineLetters {
  std::span<const int64_t> counts;
  const char* source;
};

BaselineLetters baseline_letters(const interop::LoadedModel& model, const data::Dataset& holdout) {
  const auto& own = model.info.letter_counts;
  if (std::any_of(own.begin(), own.end(), [](int64_t count) { return count > 0; }))
    return {own, "training set"};
  log_warning(model.path.string(), " has no training set; the baseline uses the holdout's own letters");
  return {holdout.manifest().residue_counts, "holdout"};
}

void require_reach(const interop::LoadedModel& model, const data::Dataset& holdout, bool allow_longer) {
  const int64_t window = eval::longest_window(holdout);
  const int64_t reach = model.info.config.data.max_seq_len;
  if (window <= reach) return;
  if (!allow_longer)
    throw usage_error(
        {.where = model.path.string(),
         .expected = text("a model of data.max_seq_len ≥ ", window, ", the holdout's windows"),
         .found = std::to_string(reach),
         .advice = "prepare the holdout with a smaller --eval-length, or --allow-longer to score it on "
                   "sequences longer than it was trained on"});
  log_warning("scored on windows of up to ", window, " rows; the model was trained on ", reach);
}

void warn_about(const Scored& scored, const data::Dataset& holdout) {
  if (holdout.manifest().hash == scored.model.info.dataset_hash)
    log_warning(holdout.folder().string(), " is the training set of ", scored.model.path.string(),
                ": this is its training loss, not that of held-out sequences");
  if (scored.report.any().masked == 0)
    log_warning(holdout.folder().string(), " has nothing to score: none of its ",
                scored.report.any().sequences,
                " sequences has a masked position; only the 20 standard residues are masked");
}

// Weights without NaN may still overflow on the way to a loss.
void require_loss(const Scored& scored) {
  for (const auto& result : {scored.report.bert, scored.report.mask_only})
    if (result && result->masked > 0 && std::isnan(result->loss.value))
      throw Error({.where = scored.model.path.string(),
                   .expected = "a model whose losses are numbers",
                   .found = "a loss of NaN",
                   .advice = "use an earlier checkpoint"});
}

}  // namespace

optim::WeightSet EvalOptions::weights_of(size_t index) const {
  return weights.empty() ? optim::WeightSet::trained : weights[std::min(index, weights.size() - 1)];
}

interop::LoadedModel load_for_eval(const EvalOptions& options, size_t index) {
  interop::LoadedModel model = interop::load_model(options.checkpoints[index], options.weights_of(index));
  interop::require_numbers(model.weights, model.path);
  return model;
}

Scored score(const EvalOptions& options, size_t index, interop::LoadedModel loaded,
             const data::Dataset& holdout) {
  require_reach(loaded, holdout, options.allow_longer);
  Scored scored{
      .weights = options.weights_of(index), .model = std::move(loaded), .evaluation = {}, .report = {}};
  const interop::LoadedModel& model = scored.model;

  const at::Device device = train::choose_device(options.device);
  const model::Weights weights = model::copy_of(model.weights, device);
  const auto engine = model::make_engine(weights, {.precision = options.precision});
  const eval::EvaluateOptions how{.only = options.pattern,
                                  .mlm_probability = options.mlm_probability,
                                  .max_sequences = options.max_sequences,
                                  .draws = options.draws};
  dist::Ranks alone;
  const BaselineLetters letters = baseline_letters(model, holdout);
  scored.evaluation = eval::evaluate(*engine, weights.config, holdout, how, letters.counts, alone);
  scored.report = {.bert = scored.evaluation.bert,
                   .mask_only = scored.evaluation.mask_only,
                   .checkpoint = model.path,
                   .step = model.info.step,
                   .mlm_probability = how.mlm_probability,
                   .draws = how.draws,
                   .precision = std::string(enum_name(options.precision)),
                   .holdout_hash = holdout.manifest().hash,
                   .holdout_label = eval::holdout_label(holdout, model.info.dataset_hash,
                                                        model.info.config.data.max_seq_len),
                   .baseline_letters = letters.source};
  require_loss(scored);
  warn_about(scored, holdout);
  return scored;
}

}  // namespace esmscale::cli
