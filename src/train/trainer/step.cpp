#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/dist/replicas.h"
#include "train/trainer/impl.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

// The numbers of matrices that muon and normuon update; 0 for other optimisers.
double matrix_numbers(const config::RunConfig& config) {
  if (!config::has_matrix_updates(config.optimizer.name)) return 0;
  return static_cast<double>(accounting::count_parameters(config.model).kaplan_with_head());
}

}  // namespace

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
                                    .checkpoint = is_time_for_checkpoint(),
                                    .parts_done = checkpoints_.parts_done()};
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
  const bool measures = layer_norms_.is_due(info_.step + 1);
  if (measures) layer_norms_.begin();
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
      .least_bytes = least_bytes(run_.state.weights, config_.parallel, matrix_numbers(config_),
                                 batch.micro_batches.size(), ranks_.size())};

  const accounting::FlopCounter flops(config_.model);
  const auto tokens = static_cast<double>(batch.tokens);
  info_.step += 1;
  info_.tokens += batch.tokens;
  info_.sequences += batch.sequences;
  info_.flops += flops.training(tokens, batch.squared_tokens);
  info_.flops_6nd += flops.six_n_d(tokens);
  info_.data = batch.end;
  info_.holdout_loss.reset();
  run_.state.averages->update(info_.tokens - batch.tokens, info_.tokens);

  if (measures) recorder_.layers(info_, layer_norms_.finish(info_.step, batch));
  batch.micro_batches.clear();
  std::optional<StepInFlight> previous = std::move(in_flight_);
  in_flight_.emplace(StepInFlight{info_, std::move(*result), std::move(batch), rates, traffic});
  // A GPU is busy with this step while the host reads the one before it.
  finish_step(run_.device.is_cuda() ? previous : in_flight_);
  compare_replicas();
}

// A fault of hardware, library or order of streams shows in the first steps of a start; a later one is found
// before a checkpoint is written (Checkpoints::own_parts).
void Trainer::Impl::compare_replicas() {
  if (run_.options.after_step) run_.options.after_step(run_.state.weights, info_.step);
  ++steps_here_;
  if (steps_here_ == 1 || steps_here_ == 2 || steps_here_ == 10)
    dist::require_equal_replicas(run_.state.weights.replicated(), ranks_, text("at step ", info_.step));
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
                 .found = what + (layer_norms_.worst().empty() ? "" : "; " + layer_norms_.worst()),
                 .advice = text("lower the learning rate, or lengthen schedule.warmup_tokens",
                                config_.log.layer_norms_every > 0 || run_.state.weights.has_sharded_masters()
                                    ? ""
                                    : ", or set log.layer_norms_every=10 to see which layer grows first",
                                checkpoints_.has_any() ? "; the last checkpoint is good" : "")});
}

}  // namespace esmscale::train
