#include "esmscale/train/trainer.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/dist/any_rank.h"
#include "esmscale/model/span.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/process/device.h"
#include "train/trainer/impl.h"

#include <algorithm>
#include <filesystem>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

dist::Ranks& one_process() {
  static dist::Ranks alone;
  return alone;
}

// Peak of the devices of all ranks together.
accounting::DevicePeak peak_of_all(const Run& run) {
  accounting::DevicePeak peak =
      accounting::device_peak(device_name(run.device), run.options.config.train.precision);
  peak.flops *= run.ranks.size();
  return peak;
}

std::optional<data::GlobalBatch> next_batch(data::Loader& loader) {
  const model::Span span("wait for data");
  return loader.next();
}

bool crosses(int64_t before, int64_t after, int64_t every) {
  return every > 0 && before / every != after / every;
}

}  // namespace

Trainer::Impl::Impl(TrainOptions given, dist::Ranks& all)
    : watcher_(stop_, /*logs=*/all.is_first()),
      opened_(open_run(std::move(given), all)),
      run_(*opened_),
      config_(run_.options.config),
      ranks_(all),
      info_(run_.info()),
      checkpoints_(run_),
      recorder_(config_, run_.folder, run_.plan, info_, peak_of_all(run_),
                run_.machinery->engine->prunes_last_block()),
      layer_norms_(run_.state.weights, ranks_.is_first() ? config_.log.layer_norms_every : 0) {}

// A run that ended before: its last line of metrics says so and holds its evaluation.
bool Trainer::Impl::was_finished() {
  if (!ranks_.is_first() || !std::filesystem::exists(run_.folder.metrics())) return false;
  const std::vector<Json> lines = run::read_metrics(run_.folder.metrics());
  if (lines.empty() || !run::ends_run(lines.back())) return false;
  last_evaluation_ = eval::report_of_metrics(lines.back());
  last_assays_ = assays::results_of_metrics(lines.back());
  log_info(run_.folder.path().string(), " is finished: step ", info_.step, ", ", info_.tokens, " tokens");
  return true;
}

bool Trainer::Impl::is_stopped_before_start() {
  if (!dist::is_true_of_any(ranks_, "stop before the first step", stop_.is_raised())) return false;
  log_warning("stopped by ", reason_to_stop(), " before the first step; run the same command again");
  return true;
}

int Trainer::Impl::train() {
  if (run_.is_finished() && !run_.options.rescore &&
      ranks_.from_first("finished", was_finished() ? "yes" : "no") == "yes")
    return 0;
  if (is_stopped_before_start()) return kStoppedBySignal;
  record_start(run_);
  is_recorded_ = true;
  if (ranks_.is_first()) recorder_.open();
  data::Loader loader(run_.inputs.train, run_.loader_options(), info_.data);
  Profile profile(run_.options.profile_steps, run_.folder.trace(ranks_.rank()), run_.device);
  if (is_evaluation_due() && !evaluate_holdout(/*finished=*/false)) return end_early(profile);
  while (!run_.is_finished()) {
    profile.begin_step();
    std::optional<data::GlobalBatch> batch = next_batch(loader);
    if (!batch) break;
    if (checkpoints_.begins_decay(batch->tokens)) regular_checkpoint();
    const int64_t tokens_before = info_.tokens;
    step(std::move(*batch));
    if (crosses(tokens_before, info_.tokens, config_.eval.every_tokens) && !run_.is_finished()) {
      if (agreed_.stop) checkpoint();  // who asked may not wait for the evaluation
      if (!evaluate_holdout(/*finished=*/false)) agreed_.stop = true;
    }
    checkpoints_.advance(agreed_.parts_done);
    if (agreed_.checkpoint || crosses(tokens_before, info_.tokens, config_.checkpoint.every_tokens))
      regular_checkpoint();
    if (agreed_.stop) return end_early(profile);
  }
  profile.finish();
  last_checkpoint();  // before an evaluation that may be long
  if (!evaluate_holdout(/*finished=*/true)) return end_early(profile);
  note_end("finished");
  return 0;
}

void Trainer::Impl::note_end(const std::string& why) const {
  if (!is_recorded_ || !ranks_.is_first()) return;
  try {
    run_.folder.note_end(why);
  } catch (const std::exception& problem) {
    log_warning("the end is not recorded: ", problem.what());
  }
}

int Trainer::Impl::end_early(Profile& profile) {
  ended_early_ = true;
  last_checkpoint();
  flush_metrics();
  profile.finish();
  note_end(reason_to_stop());
  log_warning("stopped by ", reason_to_stop(), " at step ", info_.step,
              "; the checkpoint is written: run the same command again to resume");
  return kStoppedBySignal;
}

// The first rank's clock decides for all.
bool Trainer::Impl::is_out_of_time() const {
  const std::chrono::duration<double, std::ratio<60>> minutes = std::chrono::steady_clock::now() - begin_;
  return ranks_.is_first() && run_.options.max_minutes > 0 && minutes.count() >= run_.options.max_minutes;
}

std::string Trainer::Impl::reason_to_stop() const {
  if (stop_.is_raised()) return stop_.name();
  return is_out_of_time() ? "--max-minutes" : "another rank's signal";
}

TrainSummary Trainer::Impl::summary() const {
  return {.run = run_.folder.path(),
          .checkpoint = run_.folder.checkpoint(info_.step),
          .is_finished = run_.is_finished() && !ended_early_,
          .step = info_.step,
          .tokens = info_.tokens,
          .sequences = info_.sequences,
          .parameters = run_.plan.parameters.kaplan_non_embedding,
          .flops = info_.flops,
          .flops_6nd = info_.flops_6nd,
          .bad_steps = info_.bad_steps,
          .tokens_per_second = recorder_.tokens_per_second(),
          .memory_predicted = static_cast<double>(run_.plan.memory.total()),
          .memory_tensors_peak = std::max(training_peak_, peak_tensor_bytes(run_.device)),
          .memory_resident_peak = run::peak_resident_bytes(),
          .evaluation = last_evaluation_,
          .assays = last_assays_};
}

Trainer::Trainer(TrainOptions options, dist::Ranks& ranks) {
  at::set_num_threads(options.threads);
  impl_ = std::make_unique<Impl>(std::move(options), ranks);
}

Trainer::Trainer(TrainOptions options) : Trainer(std::move(options), one_process()) {}

Trainer::~Trainer() = default;

int Trainer::run() {
  try {
    return impl_->train();
  } catch (const std::exception& problem) {
    impl_->note_end(text("an error: ", first_line(problem.what())));
    throw;
  }
}

TrainSummary Trainer::summary() const {
  return impl_->summary();
}

}  // namespace esmscale::train
