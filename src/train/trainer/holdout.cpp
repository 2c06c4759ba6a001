#include "esmscale/core/json_line.h"
#include "esmscale/dist/any_rank.h"
#include "esmscale/eval/report.h"
#include "esmscale/eval/stoppable.h"
#include "esmscale/train/process/device.h"
#include "train/scores/average_scores.h"
#include "train/scores/sequence_scores.h"
#include "train/trainer/impl.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace esmscale::train {

// Each crossing of eval.every_tokens leaves a line of metrics. It is missing when a stop signal ended the
// evaluation, or a kill after the checkpoint of its step.
bool Trainer::Impl::is_evaluation_due() {
  const int64_t every = config_.eval.every_tokens;
  const bool is_possible = every > 0 && run_.state.has_local_checkpoint && !run_.is_finished() &&
                           (run_.inputs.holdout || !run_.inputs.assays.empty());
  if (!is_possible) return false;
  const bool is_due = ranks_.is_first() && info_.tokens / every != tokens_of_last_evaluation() / every;
  return dist::is_true_of_any(ranks_, "an evaluation that is due", is_due);
}

// Without one: of the run's first step, if that was another run's (--branch-from, --resume), and otherwise 0.
int64_t Trainer::Impl::tokens_of_last_evaluation() const {
  std::vector<Json> lines;
  if (std::filesystem::exists(run_.folder.metrics())) lines = run::read_metrics(run_.folder.metrics());
  const auto tokens_of = [](const Json& line) { return integer_in(line, "tokens"); };
  const auto last = std::find_if(lines.rbegin(), lines.rend(), [](const Json& line) {
    return line.contains("tokens") &&
           (eval::report_of_metrics(line) || !assays::results_of_metrics(line).empty());
  });
  if (last != lines.rend()) return tokens_of(*last);
  const int64_t first = lines.empty() ? info_.step : lines.front()["step"].get<int64_t>();
  if (first <= config_.log.every_steps) return 0;
  return lines.empty() ? info_.tokens : tokens_of(lines.front());
}

bool Trainer::Impl::score_holdout() {
  const data::Dataset& holdout = *run_.inputs.holdout;
  const eval::EvaluateOptions how{.mlm_probability = config_.eval.mlm_probability,
                                  .draws = config_.eval.draws};
  const std::optional<eval::Evaluation> evaluation = eval::evaluate_unless(
      is_stopped_, *run_.machinery->engine, config_.model, holdout, how, info_.letter_counts, ranks_);
  if (!evaluation) return false;
  info_.holdout_label =
      eval::holdout_label(holdout, run_.inputs.train.manifest().hash, config_.data.max_seq_len);
  last_evaluation_ = eval::EvaluationReport{.bert = evaluation->bert,
                                            .mask_only = evaluation->mask_only,
                                            .checkpoint = run_.folder.checkpoint(info_.step),
                                            .step = info_.step,
                                            .mlm_probability = how.mlm_probability,
                                            .draws = how.draws,
                                            .precision = std::string(enum_name(config_.train.precision)),
                                            .holdout_hash = holdout.manifest().hash,
                                            .holdout_label = info_.holdout_label};
  if (ranks_.is_first()) write_sequence_scores(run_.folder, *evaluation, *last_evaluation_, holdout);
  if (const double loss = evaluation->bert->loss.value; std::isfinite(loss)) info_.holdout_loss = loss;
  return true;
}

// One of each rank at a time: a stop signal ends it between two of them.
bool Trainer::Impl::score_all_assays() {
  const std::span<const assays::Assay> all(run_.inputs.assays);
  const auto size = static_cast<size_t>(ranks_.size());
  std::vector<assays::AssayResult> results;
  for (size_t first = 0; first < all.size(); first += size) {
    if (dist::is_true_of_any(ranks_, "a stop of the assays", is_stopped_())) return false;
    for (assays::AssayResult& result :
         score_assays(all.subspan(first, std::min(size, all.size() - first)), *run_.machinery->engine,
                      config_.model, config_.data.max_seq_len, ranks_))
      results.push_back(std::move(result));
  }
  last_assays_ = std::move(results);
  return true;
}

// The scores of the averages, once holdout and assays are scored; nullopt when it was stopped.
std::optional<Json> Trainer::Impl::scores(bool finished) {
  if (run_.inputs.holdout && !score_holdout()) return std::nullopt;
  if (!score_all_assays()) return std::nullopt;
  return finished ? score_averages(run_, is_stopped_) : Json::object();
}

bool Trainer::Impl::evaluate_holdout(bool finished) {
  finish_step(in_flight_);
  watcher_.begin("a batch of the evaluation");
  const double begin = recorder_.now();
  training_peak_ = std::max(training_peak_, peak_tensor_bytes(run_.device));
  const std::optional<Json> averages = scores(finished);
  reset_peak_tensor_bytes(run_.device);  // evaluation has its own batches: the prediction is of training
  if (averages && !finished) recorder_.evaluation(info_, last_evaluation_, last_assays_, finished, *averages);
  checkpoints_.wait();
  recorder_.leave_out(recorder_.now() - begin);
  if (!averages) {
    info_.holdout_loss.reset();
    return false;
  }
  keep_best(finished);
  if (!finished) return true;
  // Whoever reads "finished" finds the checkpoint.
  Json ending = *averages;
  if (steps_here_ > 0) {
    ending["memory_predicted"] = run_.plan.memory.total();
    ending["memory_tensors_peak"] = training_peak_;
  }
  recorder_.evaluation(info_, last_evaluation_, last_assays_, finished, ending);
  flush_metrics();
  return true;
}

void Trainer::Impl::keep_best(bool finished) {
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
}

}  // namespace esmscale::train
