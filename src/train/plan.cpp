#include "esmscale/train/plan.h"

#include "esmscale/accounting/device_peak.h"
#include "esmscale/config/schedule.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/train/process/device.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

constexpr double kSecondsPerHour = 3600;

std::vector<std::string> notes_on(const config::RunConfig& config, int64_t tokens) {
  const config::Schedule schedule(config.schedule, config.optimizer.lr, tokens);
  std::vector<std::string> notes;
  if (schedule.warmup_is_cut())
    notes.push_back(text("a tenth of the run is warm-up at most: ", schedule.warmup_tokens(),
                         " tokens in place of schedule.warmup_tokens = ", config.schedule.warmup_tokens));
  if (schedule.decay_is_cut())
    notes.push_back(text("the decay ends with the run, at ", schedule.decay_tokens(),
                         " tokens in place of schedule.decay_tokens = ", config.schedule.decay_tokens));
  if (tokens > 0 && config.train.batch_warmup_tokens > tokens)
    notes.push_back(text("the run ends before train.batch_warmup_tokens = ", config.train.batch_warmup_tokens,
                         ": its largest batch has ",
                         data::batch_ramp(loader_options(config, 0, 1, 1, false)).rows_at(tokens),
                         " tokens"));
  return notes;
}

accounting::MemoryPrediction memory_of(config::RunConfig config, int ranks, config::DeviceKind device) {
  config.train.precision = config::precision_on(config.train.precision, device, has_bf16(device));
  return accounting::predict_memory(config, ranks, device);
}

// What follows from the tokens of the run and from Σ n and Σ n² of sequences like its own.
void count(RunPlan& plan, const config::RunConfig& config, double tokens, double squared_tokens) {
  plan.notes = notes_on(config, plan.tokens);
  const auto D = static_cast<double>(plan.tokens);
  const accounting::FlopCounter flops(config.model);
  plan.parameters = accounting::count_parameters(config.model);
  plan.steps = std::ceil(data::batch_ramp(loader_options(config, 0, 1, 1, false)).steps(D));
  plan.flops_per_token = flops.training(1, squared_tokens / std::max(1.0, tokens));
  plan.flops = D * plan.flops_per_token;
  plan.flops_6nd = flops.six_n_d(D);
  plan.update_flops = accounting::update_flops(config);
  for (const char* device : {"a100", "h100"}) {
    const accounting::DevicePeak peak = accounting::device_peak(device, config.train.precision);
    plan.hours.push_back(
        {peak.name, peak.flops > 0 ? plan.flops / (peak.flops * kPlannedMfu) / kSecondsPerHour : 0});
  }
}

Json known(int64_t count) {
  return count > 0 ? Json(count) : Json();
}

std::string tokens_text(const RunPlan& plan) {
  if (plan.tokens == 0) return text(scientific(plan.flops_per_token, 2), " FLOPs a token");
  const std::string sequences = plan.sequences > 0 ? text(" of ", plan.sequences, " sequences") : "";
  const std::string updates =
      plan.update_flops > 0 ? text(", and ", scientific(plan.steps * plan.update_flops, 2), " of updates")
                            : "";
  return text("D ", human_count(static_cast<double>(plan.tokens)), " tokens", sequences, ", about ",
              static_cast<int64_t>(plan.steps), " steps; ", scientific(plan.flops, 2), " FLOPs (6ND ",
              scientific(plan.flops_6nd, 2), ", ", scientific(plan.flops_per_token, 2), " a token)", updates);
}

}  // namespace

data::LoaderOptions loader_options(const config::RunConfig& config, int rank, int ranks, int threads,
                                   bool fixed_shapes) {
  return {.seed = static_cast<uint64_t>(config.train.seed),
          .sequences = config.data.sequences,
          .max_seq_len = config.data.max_seq_len,
          .pack_tokens = config.train.pack_tokens,
          .batch_tokens = config.train.batch_tokens,
          .first_batch_tokens = config.train.first_batch_tokens,
          .batch_warmup_tokens = config.train.batch_warmup_tokens,
          .micro_batch_tokens = config.train.micro_batch_tokens,
          .epochs = config.train.epochs,
          .mlm_probability = config.masking.mlm_probability,
          .final_mlm_probability = config.masking.final_mlm_probability,
          .rank = rank,
          .ranks = ranks,
          .threads = threads,
          .fixed_shapes = fixed_shapes,
          .tokens = &data::TokenList::of(config.model.alphabet)};
}

int64_t sequences_used(const config::RunConfig& config, const data::Dataset& train) {
  const int64_t wanted = config.data.sequences;
  const int64_t most = train.epoch_sequences();
  if (wanted > most)
    throw usage_error({.where = "data.sequences",
                       .expected = text("at most the ", most, " of ", train.folder().string()),
                       .found = std::to_string(wanted)});
  return wanted > 0 ? wanted : most;
}

namespace {

data::EpochTokens epoch_tokens(const config::RunConfig& config, const data::Dataset& train) {
  return data::tokens_per_epoch(train, loader_options(config, 0, 1, 1, false));
}

int64_t tokens_of_epochs(const config::RunConfig& config, int64_t epoch) {
  const int64_t all = epoch * config.train.epochs;
  return config.train.max_tokens > 0 ? std::min(all, config.train.max_tokens) : all;
}

}  // namespace

int64_t tokens_of_run(const config::RunConfig& config, const data::Dataset& train) {
  return tokens_of_epochs(config, epoch_tokens(config, train).tokens);
}

RunPlan plan_run(const config::RunConfig& config, const data::Dataset& train, int ranks,
                 config::DeviceKind device) {
  RunPlan plan;
  plan.sequences = sequences_used(config, train);
  data::check_loader_options(train, loader_options(config, /*rank=*/0, ranks, /*threads=*/1, false));
  const data::EpochTokens epoch = epoch_tokens(config, train);
  plan.epoch_tokens = epoch.tokens;
  plan.tokens = tokens_of_epochs(config, plan.epoch_tokens);
  plan.memory = memory_of(config, ranks, device);
  count(plan, config, static_cast<double>(epoch.tokens), epoch.squared);
  if (config.train.max_tokens > plan.tokens)
    plan.notes.push_back(text("the run ends after ", plan.tokens,
                              " tokens, train.epochs = ", config.train.epochs,
                              " of the data, before train.max_tokens = ", config.train.max_tokens));
  return plan;
}

RunPlan plan_without_data(const config::RunConfig& config, int ranks, config::DeviceKind device) {
  RunPlan plan;
  plan.tokens = config.train.max_tokens;
  const auto rows = static_cast<double>(config.data.max_seq_len);
  plan.memory = memory_of(config, ranks, device);
  count(plan, config, rows, rows * rows);
  return plan;
}

Json to_json(const RunPlan& plan) {
  Json hours = Json::array();
  for (const DeviceHours& device : plan.hours)
    hours.push_back({{"device", device.device}, {"hours", device.hours > 0 ? Json(device.hours) : Json()}});
  return {{"parameters",
           {{"kaplan_non_embedding", plan.parameters.kaplan_non_embedding},
            {"trainable", plan.parameters.trainable}}},
          {"sequences", known(plan.sequences)},
          {"epoch_tokens", known(plan.epoch_tokens)},
          {"tokens", known(plan.tokens)},
          {"steps", plan.tokens > 0 ? Json(plan.steps) : Json()},
          {"flops", plan.tokens > 0 ? Json(plan.flops) : Json()},
          {"flops_6nd", plan.tokens > 0 ? Json(plan.flops_6nd) : Json()},
          {"flops_per_token", plan.flops_per_token},
          {"update_flops_per_step", plan.update_flops},
          {"gpu_hours", hours},
          {"planned_mfu", kPlannedMfu},
          {"notes", plan.notes},
          {"memory_per_rank",
           {{"parameters", plan.memory.parameters},
            {"gradients", plan.memory.gradients},
            {"moments", plan.memory.moments},
            {"averages", plan.memory.averages},
            {"activations", plan.memory.activations},
            {"workspace", plan.memory.workspace},
            {"total", plan.memory.total()}}}};
}

std::string to_text(const RunPlan& plan) {
  const accounting::MemoryPrediction& memory = plan.memory;
  return text("N ", human_count(static_cast<double>(plan.parameters.kaplan_non_embedding)), " (Kaplan), ",
              human_count(static_cast<double>(plan.parameters.trainable)), " trainable; ", tokens_text(plan),
              "; memory ", human_bytes(memory.total()), " (parameters ", human_bytes(memory.parameters),
              ", gradients ", human_bytes(memory.gradients), ", moments ", human_bytes(memory.moments),
              memory.averages > 0 ? ", averages " + human_bytes(memory.averages) : "", ", activations ",
              human_bytes(memory.activations), ", workspace ", human_bytes(memory.workspace), ")");
}

}  // namespace esmscale::train
