#include "train/recorder.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/log.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/process/host_memory.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::train {

double least_bytes(const model::Weights& weights, const config::RunConfig::Parallel& parallel,
                   double matrices, size_t micro_batches, int ranks) {
  const double reductions = parallel.zero_stage == 2 ? static_cast<double>(micro_batches) : 1;
  const double word = parallel.reduce == config::ReduceType::bf16 ? 2 : sizeof(float);
  const double gradient = word * static_cast<double>(weights.flat.numel());
  double second = gradient;  // the other half of an all-reduce
  if (parallel.zero_stage > 0)
    second = static_cast<double>(weights.flat.nbytes()) + sizeof(float) * 2 * matrices / ranks;
  if (weights.has_sharded_masters()) second += 2 * static_cast<double>(weights.vectors.nbytes());
  return (reductions * gradient + second) * (ranks - 1) / ranks;
}

Recorder::Recorder(const config::RunConfig& config, const run::RunFolder& run, const RunPlan& plan,
                   const checkpoint::RunPosition& begin, const accounting::DevicePeak& peak, bool masked_end)
    : config_(config),
      run_(run),
      plan_(plan),
      flops_(config.model),
      masked_end_(masked_end),
      peak_(peak),
      begin_(std::chrono::steady_clock::now()),
      meter_(static_cast<double>(plan.tokens), static_cast<double>(begin.tokens), 0) {}

void Recorder::open() {
  metrics_.emplace(run_.path(), config_.log.tensorboard);
}

double Recorder::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

double Recorder::tokens_per_second() const {
  return training_seconds_ > 0 ? session_tokens_ / training_seconds_ : 0;
}

Json Recorder::head(const checkpoint::RunPosition& at) const {
  return {{"tokens", at.tokens},
          {"sequences", at.sequences},
          {"flops", at.flops},
          {"flops_6nd", at.flops_6nd},
          {"parameters", plan_.parameters.kaplan_non_embedding}};
}

void Recorder::write(const checkpoint::RunPosition& at, const Json& keys) {
  metrics_->write(at.step, run::seconds_since_1970(), keys);
}

void Recorder::step(const checkpoint::RunPosition& at, const StepResult::Values& values,
                    const optim::Rates& rates, const data::GlobalBatch& batch, const StepTraffic& traffic) {
  const double time = now();
  const double tokens = static_cast<double>(batch.tokens);
  const auto masked = static_cast<double>(values.masked);
  double executed = flops_.executed(tokens, batch.squared_tokens, masked);
  if (masked_end_)
    executed -= accounting::flops_pruned_at_the_end(config_.model, static_cast<double>(batch.tokens),
                                                    batch.squared_tokens, masked);
  meter_.add_step(time, tokens, executed);
  training_seconds_ += time - last_mark_;
  last_mark_ = time;
  session_tokens_ += tokens;
  if (!metrics_) return;
  if (status_.is_due()) show_progress(at, values.loss);
  if (at.step % config_.log.every_steps != 0) return;

  const run::Throughput throughput = meter_.throughput();
  Json line = head(at);
  line["train/loss"] = values.loss;
  line["train/perplexity"] = std::exp(values.loss);
  line["train/learning_rate"] = rates.adam;
  if (config::has_matrix_updates(config_.optimizer.name)) line["train/matrix_learning_rate"] = rates.matrices;
  line["train/grad_norm"] = values.grad_norm;
  line["train/tokens_per_second"] = throughput.tokens_per_second;
  line["train/gflops_per_second"] = throughput.flops_per_second / 1e9;
  if (peak_.flops > 0) {
    line["train/mfu"] = throughput.flops_per_second / peak_.flops;
    line["train/mfu_peak"] = peak_.name;
  } else {
    line["train/mfu"] = nullptr;  // no peak is known for this device
  }
  line["train/fill"] = tokens / static_cast<double>(batch.packs * config_.train.pack_tokens);
  line["train/loader_wait_seconds"] = batch.wait_seconds;
  if (traffic.least_bytes > 0) {
    line["train/communication_bytes"] = traffic.sent.bytes;
    line["train/communication_least_bytes"] = traffic.least_bytes;
    line["train/communication_wait_seconds"] = traffic.sent.wait_seconds;
  }
  line["memory_bytes"] = run::peak_resident_bytes();
  write(at, line);
}

void Recorder::layers(const checkpoint::RunPosition& at, const Json& keys) {
  if (!metrics_) return;
  Json line = head(at);
  line.update(keys);
  write(at, line);
}

void Recorder::evaluation(const checkpoint::RunPosition& at,
                          const std::optional<eval::EvaluationReport>& report,
                          std::span<const assays::AssayResult> assays, bool finished, const Json& more) {
  if (!metrics_) return;
  Json line = head(at);
  if (report) {
    const Json keys = eval::to_json(*report);
    for (const auto& [key, value] : keys.items()) line["eval/" + key] = value;
  }
  for (const assays::AssayResult& result : assays) assays::add_to_metrics(line, result);
  line.update(more);
  if (finished) line["finished"] = true;
  write(at, line);
  if (report || !assays.empty()) status_.clear();
  for (const assays::AssayResult& result : assays) log_info("step ", at.step, ": ", assays::to_text(result));
  if (!report) return;
  log_info("step ", at.step, ": holdout loss ", eval::to_text(report->bert->loss),
           " nats (frequencies alone ", fixed(report->bert->baseline, 4), "), ", report->holdout_label);
}

void Recorder::flush() {
  if (metrics_) metrics_->flush();
}

void Recorder::leave_out(double seconds) {
  meter_.leave_out(seconds);
  last_mark_ = now();
}

void Recorder::show_progress(const checkpoint::RunPosition& at, double loss) {
  status_.show(run::progress_line({.step = at.step,
                                   .tokens = static_cast<double>(at.tokens),
                                   .planned_tokens = static_cast<double>(plan_.tokens),
                                   .loss = loss,
                                   .throughput = meter_.throughput(),
                                   .peak_flops = peak_.flops,
                                   .memory_bytes = run::peak_resident_bytes()}));
}

}  // namespace esmscale::train
