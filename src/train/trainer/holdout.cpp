#include "esmscale/eval/evaluator.h"
#include "esmscale/eval/report.h"
#include "esmscale/train/process/device.h"
#include "train/scores/average_scores.h"
#include "train/scores/sequence_scores.h"
#include "train/trainer/impl.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace esmscale::train {

void Trainer::Impl::score_holdout() {
  const data::Dataset& holdout = *run_.inputs.holdout;
  const eval::EvaluateOptions how{.mlm_probability = config_.eval.mlm_probability,
                                  .draws = config_.eval.draws};
  const eval::Evaluation evaluation =
      eval::evaluate(*run_.machinery->engine, config_.model, holdout, how, info_.letter_counts, ranks_);
  info_.holdout_label =
      eval::holdout_label(holdout, run_.inputs.train.manifest().hash, config_.data.max_seq_len);
  last_evaluation_ = eval::EvaluationReport{.bert = evaluation.bert,
                                            .mask_only = evaluation.mask_only,
                                            .checkpoint = run_.folder.checkpoint(info_.step),
                                            .step = info_.step,
                                            .mlm_probability = how.mlm_probability,
                                            .draws = how.draws,
                                            .precision = std::string(enum_name(config_.train.precision)),
                                            .holdout_hash = holdout.manifest().hash,
                                            .holdout_label = info_.holdout_label};
  if (ranks_.is_first()) write_sequence_scores(run_.folder, evaluation, *last_evaluation_, holdout);
  if (const double loss = evaluation.bert->loss.value; std::isfinite(loss)) info_.holdout_loss = loss;
}

void Trainer::Impl::evaluate_holdout(bool finished) {
  finish_step(in_flight_);
  watcher_.begin("the evaluation");
  const double begin = recorder_.now();
  training_peak_ = std::max(training_peak_, peak_tensor_bytes(run_.device));
  if (run_.inputs.holdout) score_holdout();
  last_assays_ = score_assays(run_.inputs.assays, *run_.machinery->engine, config_.model,
                              config_.data.max_seq_len, ranks_);
  const Json averages = finished ? score_averages(run_) : Json::object();
  reset_peak_tensor_bytes(run_.device);  // evaluation has its own batches: the prediction is of training
  if (!finished) recorder_.evaluation(info_, last_evaluation_, last_assays_, finished, averages);
  recorder_.leave_out(recorder_.now() - begin);

  const bool has_checkpoint = checkpoints_.is_current();
  const std::optional<double> loss = info_.holdout_loss;
  const bool is_best = loss && (info_.best_step < 0 || *loss < info_.best_holdout_loss);
  const auto best_so_far = std::pair(info_.best_holdout_loss, info_.best_step);
  if (is_best) {
    info_.best_holdout_loss = *loss;
    info_.best_step = info_.step;
  }
  if (finished)
    last_checkpoint();
  else if (is_best && !checkpoint())  // the best one that there is stays the best
    std::tie(info_.best_holdout_loss, info_.best_step) = best_so_far;
  // A checkpoint that was written before this evaluation of its step gets the result, too.
  if (run_.inputs.holdout && has_checkpoint) checkpoints_.rewrite_info();
  if (!finished) return;
  // Whoever reads "finished" finds the checkpoint.
  Json ending = averages;
  if (steps_here_ > 0) {
    ending["memory_predicted"] = run_.plan.memory.total();
    ending["memory_tensors_peak"] = training_peak_;
  }
  recorder_.evaluation(info_, last_evaluation_, last_assays_, finished, ending);
  flush_metrics();
}

}  // namespace esmscale::train
