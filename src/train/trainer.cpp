#include "esmscale/train/trainer.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/eval/evaluator.h"
#include "esmscale/model/span.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/device.h"
#include "esmscale/train/host_memory.h"
#include "train/profile.h"
#include "train/recorder.h"
#include "train/session.h"

#include <cmath>
#include <filesystem>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

namespace esmscale::train {

struct Trainer::Impl : Session {
  Impl(TrainOptions given, dist::Ranks& all);

  int run();
  // A step whose result has not been read yet.
  struct Pending {
    checkpoint::RunPosition position;  // after it
    StepResult result;
    data::GlobalBatch batch;  // without its rows; packs = 0: nothing is pending
    double lr = 0;
    StepTraffic traffic;
  };

  void step(data::GlobalBatch batch, const StopSignal& stop);
  void settle(Pending& done);
  void evaluate_holdout(bool finished);
  void checkpoint();
  void prune() const;
  bool was_finished();
  void count_bad_step(int64_t step, double loss);
  bool is_time_for_checkpoint() const;

  const config::RunConfig& config;
  Recorder recorder;
  Pending pending;
  Json last_evaluation = Json::object();
  int64_t checkpoint_step = -1;
  int64_t training_peak = 0;  // bytes of tensors before the last evaluation
  double checkpoint_time = 0;
  Wishes agreed;  // of any rank, at the step that was settled last
};

namespace {

// The least that m micro-batches of P parameters cost one of n ranks (ring algorithms, fp32): stages 0 and 1
// send 2·P·(n−1)/n words, stage 2 (m+1)·P·(n−1)/n.
double least_bytes(double parameters, int stage, size_t micro_batches, int ranks) {
  const double times = stage == 2 ? static_cast<double>(micro_batches) + 1 : 2;
  return sizeof(float) * times * parameters * (ranks - 1) / ranks;
}

dist::Ranks& one_process() {
  static dist::Ranks alone;
  return alone;
}

// Of the devices of all ranks together.
accounting::DevicePeak peak_of_all(const Session& session) {
  accounting::DevicePeak peak =
      accounting::device_peak(device_name(session.device), session.options.config.train.precision);
  peak.flops *= session.ranks.size();
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
    : Session(std::move(given), all),
      config(options.config),
      recorder(config, folder, plan, info(), peak_of_all(*this), engine->prunes_last_block(),
               ranks.is_first()) {
  if (state.is_from_here) checkpoint_step = info().step;
}

// A run that ended before: its last line of metrics says so and holds its evaluation.
bool Trainer::Impl::was_finished() {
  if (!ranks.is_first()) return false;
  const std::vector<Json> lines = run::read_metrics(folder.metrics());
  if (lines.empty() || !lines.back().value("finished", false)) return false;
  for (const auto& [key, value] : lines.back().items())
    if (key.starts_with("eval/")) last_evaluation[key.substr(5)] = value;
  log_info(folder.path().string(), " is finished: step ", info().step, ", ", info().tokens, " tokens");
  return true;
}

int Trainer::Impl::run() {
  if (is_finished() && ranks.from_first("finished", was_finished() ? "yes" : "no") == "yes") return 0;
  record_start();
  const StopSignal stop;
  data::Loader loader(train, loader_options(config, ranks.rank(), ranks.size(), 1, device.is_cuda()),
                      info().data);
  Profile profile(options.profile_steps, folder.trace(ranks.rank()), device);
  while (!is_finished()) {
    profile.begin_step();
    std::optional<data::GlobalBatch> batch = next_batch(loader);
    if (!batch) break;
    const int64_t tokens_before = info().tokens;
    step(std::move(*batch), stop);
    if (crosses(tokens_before, info().tokens, config.eval.every_tokens) && !is_finished())
      evaluate_holdout(/*finished=*/false);
    if (agreed.checkpoint || crosses(tokens_before, info().tokens, config.checkpoint.every_tokens))
      checkpoint();
    if (agreed.stop) {
      checkpoint();
      profile.finish();
      log_warning("stopped by ", stop.is_raised() ? stop.name() : "another rank's signal", " at step ",
                  info().step, "; start me again to go on");
      return kStoppedBySignal;
    }
  }
  profile.finish();
  evaluate_holdout(/*finished=*/true);
  checkpoint();
  return 0;
}

bool Trainer::Impl::is_time_for_checkpoint() const {
  const double minutes = config.checkpoint.every_minutes;
  return ranks.is_first() && minutes > 0 && recorder.now() - checkpoint_time > 60 * minutes;
}

void Trainer::Impl::step(data::GlobalBatch batch, const StopSignal& stop) {
  const double lr = schedule.at(info().tokens + batch.tokens);
  const dist::Traffic before = group.traffic();
  const StepParts parts =
      step_parts([&] { return Wishes{.stop = stop.is_raised(), .checkpoint = is_time_for_checkpoint()}; });
  StepResult result = train_step(parts, batch, lr);
  const StepTraffic traffic{
      .sent = group.traffic() - before,
      .least_bytes = least_bytes(static_cast<double>(state.weights.flat.numel()), gradients.stage(),
                                 batch.micro_batches.size(), ranks.size())};

  const accounting::FlopCounter flops(config.model);
  const auto tokens = static_cast<double>(batch.tokens);
  info().step += 1;
  info().tokens += batch.tokens;
  info().sequences += batch.sequences;
  info().flops += flops.training(tokens, batch.squared_tokens);
  info().flops_6nd += flops.six_n_d(tokens);
  info().data = batch.end;
  info().holdout_loss.reset();

  batch.micro_batches.clear();
  Pending now{info(), std::move(result), std::move(batch), lr, traffic};
  // A GPU is busy with this step while the host reads the one before it.
  if (device.is_cuda()) std::swap(now, pending);
  settle(now);
}

void Trainer::Impl::settle(Pending& done) {
  if (done.batch.packs == 0) return;
  const StepResult::Values values = done.result.wait();
  recorder.step(done.position, values, done.lr, done.batch, done.traffic);
  done.batch.packs = 0;
  agreed = values.wishes;
  if (values.masked == 0)
    log_warning("step ", done.position.step, ": no position was chosen; nothing is updated");
  else if (values.skipped)
    count_bad_step(done.position.step, values.loss);
  else
    info().bad_in_a_row = 0;
}

void Trainer::Impl::count_bad_step(int64_t step, double loss) {
  ++info().bad_steps;
  ++info().bad_in_a_row;
  const std::vector<std::string> culprits =
      ranks.exchange("what is not finite", gradients.first_non_finite());
  const auto found =
      std::find_if(culprits.begin(), culprits.end(), [](const auto& name) { return !name.empty(); });
  const std::string culprit = found == culprits.end() ? "" : *found;
  // A GPU's gradients are already those of the step behind it. Finite ones can have a norm that is not.
  const std::string what = !std::isfinite(loss) ? "a loss that is not finite"
                           : culprit.empty()    ? "a gradient norm that is not finite"
                                                : text("a gradient that is not finite in ", culprit,
                                                    device.is_cuda() ? " (as the next step has it)" : "");
  log_warning("step ", step, ": ", what, "; the step is skipped (", info().bad_steps, " so far)");
  if (info().bad_in_a_row >= config.train.max_bad_steps)
    throw Error({.where = text("step ", step),
                 .expected = text("fewer than train.max_bad_steps = ", config.train.max_bad_steps,
                                  " non-finite steps in a row"),
                 .found = what,
                 .advice = text("lower optimizer.lr, or lengthen schedule.warmup_tokens",
                                checkpoint_step >= 0 ? "; the last checkpoint is good" : "")});
}

void Trainer::Impl::evaluate_holdout(bool finished) {
  settle(pending);
  const double begin = recorder.now();
  training_peak = std::max(training_peak, peak_tensor_bytes(device));
  last_evaluation = Json::object();
  if (holdout) {
    const eval::Evaluation evaluation =
        eval::evaluate(*engine, config.model, *holdout, {.mlm_probability = config.masking.mlm_probability},
                       info().letter_counts, ranks);
    info().holdout_label = eval::holdout_label(*holdout, train.manifest().hash, config.data.max_seq_len);
    last_evaluation = eval::evaluation_result(evaluation, folder.checkpoint(info().step), info().step,
                                              info().holdout_label);
    if (const double loss = evaluation.bert->loss.value; std::isfinite(loss)) info().holdout_loss = loss;
  }
  recorder.evaluation(info(), last_evaluation, finished);
  reset_peak_tensor_bytes(device);  // evaluation has its own batches: the prediction is of training
  recorder.leave_out(recorder.now() - begin);
  const std::optional<double> loss = info().holdout_loss;
  if (loss && (info().best_step < 0 || *loss < info().best_holdout_loss)) {
    info().best_holdout_loss = *loss;
    info().best_step = info().step;
    checkpoint();  // leaves out its own time
  }
  // A checkpoint that was written before this evaluation of its step gets it too.
  if (holdout && checkpoint_step == info().step && ranks.is_first())
    checkpoint::rewrite_info(folder.checkpoint(info().step), info());
}

void Trainer::Impl::checkpoint() {
  settle(pending);
  agreed.checkpoint = false;  // a step that a GPU had under way may have wished for this one too
  if (checkpoint_step == info().step) return;
  const double begin = recorder.now();
  info().updates = state.adam->updates();
  const std::vector<optim::StatePiece> mine = state.adam->state(gradients.layout().owned(ranks.rank()));
  checkpoint::save_checkpoint(folder.checkpoint(info().step), info(), state.weights, mine, ranks);
  checkpoint_step = info().step;
  checkpoint_time = recorder.now();
  if (ranks.is_first()) prune();
  recorder.leave_out(recorder.now() - begin);
}

void Trainer::Impl::prune() const {
  int64_t kept = 0;
  for (const run::CheckpointFolder& old : folder.list_checkpoints())
    if (old.step != info().best_step && ++kept > config.checkpoint.keep) remove_folder(old.path);
}

Trainer::Trainer(TrainOptions options, dist::Ranks& ranks) {
  at::set_num_threads(options.threads);
  impl_ = std::make_unique<Impl>(std::move(options), ranks);
}

Trainer::Trainer(TrainOptions options) : Trainer(std::move(options), one_process()) {}

Trainer::~Trainer() = default;

int Trainer::run() {
  return impl_->run();
}

Json Trainer::summary() const {
  const checkpoint::CheckpointInfo& info = impl_->info();
  Json summary{{"run", impl_->folder.path().string()},
               {"checkpoint", impl_->folder.checkpoint(info.step).string()},
               {"finished", impl_->is_finished()},
               {"step", info.step},
               {"tokens", info.tokens},
               {"sequences", info.sequences},
               {"parameters", impl_->plan.parameters.kaplan_non_embedding},
               {"flops", info.flops},
               {"flops_6nd", info.flops_6nd},
               {"bad_steps", info.bad_steps},
               {"tokens_per_second", impl_->recorder.tokens_per_second()},
               {"memory_predicted", impl_->plan.memory.total()},
               {"memory_tensors_peak", std::max(impl_->training_peak, peak_tensor_bytes(impl_->device))},
               {"memory_resident_peak", run::peak_resident_bytes()}};
  if (!impl_->last_evaluation.empty()) summary["evaluation"] = impl_->last_evaluation;
  return summary;
}

}  // namespace esmscale::train
