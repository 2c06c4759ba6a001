#include "esmscale/train/trainer.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/dist/replicas.h"
#include "esmscale/model/span.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/device.h"
#include "train/checkpoints.h"
#include "train/profile.h"
#include "train/recorder.h"
#include "train/run.h"
#include "train/stop_watcher.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <tuple>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

// A step whose result has not been read yet.
struct StepInFlight {
  checkpoint::RunPosition position;  // after it
  StepResult result;
  data::GlobalBatch batch;  // without its rows
  optim::Rates rates;
  StepTraffic traffic;
};

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

// Those that muon and normuon update; of other optimisers none.
double matrix_numbers(const config::RunConfig& config) {
  if (!config::has_matrix_updates(config.optimizer.name)) return 0;
  return static_cast<double>(accounting::count_parameters(config.model).kaplan_with_head());
}

bool crosses(int64_t before, int64_t after, int64_t every) {
  return every > 0 && before / every != after / every;
}

}  // namespace

struct Trainer::Impl {
  Impl(TrainOptions given, dist::Ranks& all);

  int train();
  // Records why this start ended, once it has been recorded.
  void note_end(const std::string& why) const;
  TrainSummary summary() const;

 private:
  // Ends of a start without a step.
  bool was_finished();
  bool is_stopped_before_start();
  int end_early(Profile& profile);
  bool is_out_of_time() const;
  std::string reason_to_stop() const;

  void step(data::GlobalBatch batch);
  StepParts step_parts();
  void finish_step(std::optional<StepInFlight>& step);
  void compare_replicas();
  void count_bad_step(int64_t step, double loss);
  bool is_time_for_checkpoint() const;

  void evaluate_holdout(bool finished);
  void score_holdout();
  bool checkpoint();
  void last_checkpoint();
  void flush_metrics();

  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  const StopSignal stop_;  // before the run: a signal while the run is opened is not lost
  StopWatcher watcher_;
  const std::unique_ptr<Run> opened_;
  Run& run_;
  const config::RunConfig& config_;
  dist::Ranks& ranks_;
  checkpoint::CheckpointInfo& info_;
  Checkpoints checkpoints_;
  Recorder recorder_;
  std::optional<StepInFlight> in_flight_;
  std::optional<eval::EvaluationReport> last_evaluation_;
  int64_t steps_here_ = 0;     // since this start
  int64_t training_peak_ = 0;  // bytes of tensors before the last evaluation
  double checkpoint_time_ = 0;
  bool is_recorded_ = false;
  StopRequests agreed_;  // of any rank, at the step that was finished last
};

Trainer::Impl::Impl(TrainOptions given, dist::Ranks& all)
    : watcher_(stop_, /*logs=*/all.is_first()),
      opened_(open_run(std::move(given), all)),
      run_(*opened_),
      config_(run_.options.config),
      ranks_(all),
      info_(run_.info()),
      checkpoints_(run_),
      recorder_(config_, run_.folder, run_.plan, info_, peak_of_all(run_),
                run_.machinery->engine->prunes_last_block()) {}

// A run that ended before: its last line of metrics says so and holds its evaluation.
bool Trainer::Impl::was_finished() {
  if (!ranks_.is_first() || !std::filesystem::exists(run_.folder.metrics())) return false;
  const std::vector<Json> lines = run::read_metrics(run_.folder.metrics());
  if (lines.empty() || !lines.back().value("finished", false)) return false;
  last_evaluation_ = eval::report_of_metrics(lines.back());
  log_info(run_.folder.path().string(), " is finished: step ", info_.step, ", ", info_.tokens, " tokens");
  return true;
}

bool Trainer::Impl::is_stopped_before_start() {
  const std::vector<std::string> said =
      ranks_.exchange("stop before the first step", stop_.is_raised() ? "stop" : "");
  if (std::all_of(said.begin(), said.end(), [](const std::string& word) { return word.empty(); }))
    return false;
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
  data::Loader loader(run_.inputs.train,
                      loader_options(config_, ranks_.rank(), ranks_.size(), 1, run_.device.is_cuda()),
                      info_.data);
  Profile profile(run_.options.profile_steps, run_.folder.trace(ranks_.rank()), run_.device);
  while (!run_.is_finished()) {
    profile.begin_step();
    std::optional<data::GlobalBatch> batch = next_batch(loader);
    if (!batch) break;
    if (checkpoints_.begins_decay(batch->tokens)) checkpoint();
    const int64_t tokens_before = info_.tokens;
    step(std::move(*batch));
    if (crosses(tokens_before, info_.tokens, config_.eval.every_tokens) && !run_.is_finished())
      evaluate_holdout(/*finished=*/false);
    if (agreed_.checkpoint || crosses(tokens_before, info_.tokens, config_.checkpoint.every_tokens))
      checkpoint();
    if (agreed_.stop) return end_early(profile);
  }
  profile.finish();
  evaluate_holdout(/*finished=*/true);
  note_end("finished");
  return 0;
}

void Trainer::Impl::note_end(const std::string& why) const {
  if (is_recorded_ && ranks_.is_first()) run_.folder.note_end(why);
}

int Trainer::Impl::end_early(Profile& profile) {
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

bool Trainer::Impl::is_time_for_checkpoint() const {
  if (checkpoints_.is_due_again()) return ranks_.is_first();
  const double minutes = config_.checkpoint.every_minutes;
  return ranks_.is_first() && minutes > 0 && recorder_.now() - checkpoint_time_ > 60 * minutes;
}

StepParts Trainer::Impl::step_parts() {
  Machinery& machinery = *run_.machinery;
  return {.engine = *machinery.engine,
          .group = run_.group,
          .gradients = machinery.gradients,
          .optimizer = *run_.state.optimizer,
          .weights = machinery.exchange,
          .model = config_.model,
          .max_norm = config_.train.grad_clip,
          .tokens = data::TokenList::of(config_.model.alphabet),
          .requests =
              [this] {
                return StopRequests{.stop = stop_.is_raised() || is_out_of_time(),
                                    .checkpoint = is_time_for_checkpoint()};
              },
          .abandons =
              [this](size_t micro_batch) {
                watcher_.begin_micro_batch(micro_batch);
                return ranks_.size() == 1 && watcher_.is_too_long();
              }};
}

void Trainer::Impl::step(data::GlobalBatch batch) {
  const optim::Rates rates = run_.rates_at(info_.tokens + batch.tokens);
  const dist::Traffic before = run_.group.traffic();
  watcher_.begin_step(info_.step + 1, batch.micro_batches.size());
  std::optional<StepResult> result = train_step(step_parts(), batch, rates);
  if (!result) {
    log_warning("step ", info_.step + 1, " would take another ", human_duration(watcher_.seconds_left()),
                ": it is discarded");
    finish_step(in_flight_);
    agreed_.stop = true;
    return;
  }
  const StepTraffic traffic{
      .sent = run_.group.traffic() - before,
      .least_bytes =
          least_bytes(static_cast<double>(run_.state.weights.flat.numel()), matrix_numbers(config_),
                      run_.machinery->gradients.stage(), batch.micro_batches.size(), ranks_.size())};

  const accounting::FlopCounter flops(config_.model);
  const auto tokens = static_cast<double>(batch.tokens);
  info_.step += 1;
  info_.tokens += batch.tokens;
  info_.sequences += batch.sequences;
  info_.flops += flops.training(tokens, batch.squared_tokens);
  info_.flops_6nd += flops.six_n_d(tokens);
  info_.data = batch.end;
  info_.holdout_loss.reset();

  batch.micro_batches.clear();
  std::optional<StepInFlight> done =
      StepInFlight{info_, std::move(*result), std::move(batch), rates, traffic};
  // A GPU is busy with this step while the host reads the one before it.
  if (run_.device.is_cuda()) std::swap(done, in_flight_);
  finish_step(done);
  compare_replicas();
}

// A fault of hardware, library or order of streams shows in the first steps of a start; a later one is found
// before a checkpoint is written (Checkpoints::save).
void Trainer::Impl::compare_replicas() {
  if (run_.options.after_step) run_.options.after_step(run_.state.weights, info_.step);
  ++steps_here_;
  if (steps_here_ == 1 || steps_here_ == 2 || steps_here_ == 10)
    dist::require_equal_replicas(run_.state.weights.flat, ranks_, text("at step ", info_.step));
}

void Trainer::Impl::finish_step(std::optional<StepInFlight>& step) {
  if (!step) return;
  StepInFlight done = std::move(*step);
  step.reset();
  const StepResult::Values values = done.result.wait();
  recorder_.step(done.position, values, done.rates, done.batch, done.traffic);
  agreed_ = values.requests;
  if (values.masked == 0)
    log_warning("step ", done.position.step, ": no position was chosen; nothing is updated");
  else if (values.skipped)
    count_bad_step(done.position.step, values.loss);
  else
    info_.bad_in_a_row = 0;
}

void Trainer::Impl::count_bad_step(int64_t step, double loss) {
  ++info_.bad_steps;
  ++info_.bad_in_a_row;
  const std::vector<std::string> culprits =
      ranks_.exchange("what is not finite", run_.machinery->gradients.first_non_finite());
  const auto found =
      std::find_if(culprits.begin(), culprits.end(), [](const auto& name) { return !name.empty(); });
  const std::string culprit = found == culprits.end() ? "" : *found;
  // A GPU's gradients are already those of the next step. Finite ones can have a norm that is not.
  const std::string what = !std::isfinite(loss) ? "a loss that is not finite"
                           : culprit.empty()    ? "a gradient norm that is not finite"
                                                : text("a gradient that is not finite in ", culprit,
                                                    run_.device.is_cuda() ? " (in the next step)" : "");
  log_warning("step ", step, ": ", what, "; the step is skipped (", info_.bad_steps, " so far)");
  if (info_.bad_in_a_row >= config_.train.max_bad_steps)
    throw Error({.where = text("step ", step),
                 .expected = text("fewer than train.max_bad_steps = ", config_.train.max_bad_steps,
                                  " non-finite steps in a row"),
                 .found = what,
                 .advice = text("lower the learning rate, or lengthen schedule.warmup_tokens",
                                checkpoints_.has_any() ? "; the last checkpoint is good" : "")});
}

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
  if (const double loss = evaluation.bert->loss.value; std::isfinite(loss)) info_.holdout_loss = loss;
}

void Trainer::Impl::evaluate_holdout(bool finished) {
  finish_step(in_flight_);
  watcher_.begin("the evaluation");
  const double begin = recorder_.now();
  training_peak_ = std::max(training_peak_, peak_tensor_bytes(run_.device));
  if (run_.inputs.holdout) score_holdout();
  reset_peak_tensor_bytes(run_.device);  // evaluation has its own batches: the prediction is of training
  if (!finished) recorder_.evaluation(info_, last_evaluation_, finished);
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
  recorder_.evaluation(info_, last_evaluation_, finished);
  flush_metrics();
}

// False when the disk has no room for it: training continues, and it is tried again.
bool Trainer::Impl::checkpoint() {
  finish_step(in_flight_);
  watcher_.begin("the checkpoint");
  agreed_.checkpoint = false;  // a step that a GPU had under way may have asked for this one, too
  if (checkpoints_.is_current()) return true;
  const double begin = recorder_.now();
  checkpoints_.save();
  checkpoint_time_ = recorder_.now();
  recorder_.leave_out(recorder_.now() - begin);
  return checkpoints_.is_current();
}

void Trainer::Impl::last_checkpoint() {
  const auto is_stopped = [this] { return stop_.is_raised(); };
  while (!checkpoint()) checkpoints_.wait_for_room(is_stopped);
}

// The lines of metrics that wait for room.
void Trainer::Impl::flush_metrics() {
  if (ranks_.is_first())
    checkpoints_.write_at_last([this] { recorder_.flush(); }, [this] { return stop_.is_raised(); });
}

TrainSummary Trainer::Impl::summary() const {
  return {.run = run_.folder.path(),
          .checkpoint = run_.folder.checkpoint(info_.step),
          .is_finished = run_.is_finished(),
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
          .evaluation = last_evaluation_};
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
    try {
      impl_->note_end(text("an error: ", first_line(problem.what())));
    } catch (const std::exception& note) {
      log_warning("the end is not recorded: ", note.what());
    }
    throw;
  }
}

TrainSummary Trainer::summary() const {
  return impl_->summary();
}

}  // namespace esmscale::train
