#include "train/scores/average_scores.h"

#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/report.h"
#include "esmscale/eval/stoppable.h"

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

// While it lives, the weights of all ranks are an average.
class Lent {
 public:
  Lent(Run& run, optim::WeightSet average) : tensors_(run.state.weights.replicated()) {
    if (run.state.weights.has_sharded_masters())
      for (const at::Tensor& shard : run.state.weights.masters.values()) tensors_.push_back(shard);
    for (const at::Tensor& tensor : tensors_) kept_.push_back(tensor.clone());
    run.state.averages->write_to_weights(average, run.info().tokens);
    if (run.machinery->gradients.stage() > 0) run.machinery->exchange.gather_all();
  }
  ~Lent() {
    for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].copy_(kept_[i]);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

 private:
  std::vector<at::Tensor> tensors_, kept_;
};

std::optional<eval::EvaluationReport> score(Run& run, const std::function<bool()>& stops) {
  const config::RunConfig& config = run.options.config;
  const std::optional<eval::Evaluation> evaluation =
      eval::evaluate_unless(stops, *run.machinery->engine, config.model, *run.inputs.holdout,
                            {.mlm_probability = config.eval.mlm_probability, .draws = config.eval.draws},
                            run.info().letter_counts, run.ranks);
  if (!evaluation) return std::nullopt;
  return eval::EvaluationReport{.bert = evaluation->bert,
                                .mask_only = evaluation->mask_only,
                                .checkpoint = run.folder.checkpoint(run.info().step),
                                .step = run.info().step,
                                .mlm_probability = config.eval.mlm_probability,
                                .draws = config.eval.draws,
                                .precision = std::string(enum_name(config.train.precision)),
                                .holdout_hash = run.inputs.holdout->manifest().hash,
                                .holdout_label = run.info().holdout_label};
}

}  // namespace

std::optional<Json> score_averages(Run& run, const std::function<bool()>& stops) {
  Json line = Json::object();
  if (!run.inputs.holdout) return line;
  for (const optim::WeightSet average : run.state.averages->kept()) {
    const Lent lent(run, average);
    const std::optional<eval::EvaluationReport> report = score(run, stops);
    if (!report) return std::nullopt;
    const Json keys = eval::to_json(*report);
    for (const auto& [key, value] : keys.items()) line[text("eval_", enum_name(average), "/", key)] = value;
    if (run.ranks.is_first())
      log_info("the average '", enum_name(average), "' of the weights: holdout loss ",
               eval::to_text(report->bert->loss), " nats");
  }
  return line;
}

}  // namespace esmscale::train
