#include "esmscale/train/plan.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

double squared_tokens_per_epoch(const Dataset& train, int64_t sequences, int64_t max_seq_len) {
  double sum = 0;
  for (const uint32_t length : train.lengths().first(static_cast<size_t>(sequences)))
    sum += std::pow(static_cast<double>(std::min<int64_t>(length, max_seq_len - 2) + 2), 2);
  return sum;
}

}  // namespace

LoaderOptions loader_options(const RunConfig& config, int rank, int ranks, int threads, bool fixed_shapes) {
  return {.seed = static_cast<uint64_t>(config.train.seed),
          .sequences = config.data.sequences,
          .max_seq_len = config.data.max_seq_len,
          .pack_tokens = config.train.pack_tokens,
          .batch_tokens = config.train.batch_tokens,
          .micro_batch_tokens = config.train.micro_batch_tokens,
          .epochs = config.train.epochs,
          .mlm_probability = config.masking.mlm_probability,
          .rank = rank,
          .ranks = ranks,
          .threads = threads,
          .fixed_shapes = fixed_shapes,
          .tokens = &TokenList::of(config.model.alphabet)};
}

RunPlan plan_run(const RunConfig& config, const Dataset& train, int ranks) {
  RunPlan plan;
  plan.parameters = count_parameters(config.model);
  plan.sequences = config.data.sequences > 0 ? config.data.sequences : train.sequences();
  plan.epoch_tokens = tokens_per_epoch(train, loader_options(config, 0, 1, 1, false));
  plan.tokens = plan.epoch_tokens * config.train.epochs;
  if (config.train.max_tokens > 0) plan.tokens = std::min(plan.tokens, config.train.max_tokens);
  plan.steps = std::ceil(static_cast<double>(plan.tokens) / static_cast<double>(config.train.batch_tokens));
  const double epochs =
      static_cast<double>(plan.tokens) / static_cast<double>(std::max<int64_t>(1, plan.epoch_tokens));
  const FlopCounter flops(config.model);
  plan.flops =
      flops.training(static_cast<double>(plan.tokens),
                     epochs * squared_tokens_per_epoch(train, plan.sequences, config.data.max_seq_len));
  plan.flops_6nd = flops.six_n_d(static_cast<double>(plan.tokens));
  plan.memory = predict_memory(config, ranks);
  return plan;
}

Json to_json(const RunPlan& plan) {
  return {{"parameters",
           {{"kaplan_non_embedding", plan.parameters.kaplan_non_embedding},
            {"trainable", plan.parameters.trainable}}},
          {"sequences", plan.sequences},
          {"epoch_tokens", plan.epoch_tokens},
          {"tokens", plan.tokens},
          {"steps", plan.steps},
          {"flops", plan.flops},
          {"flops_6nd", plan.flops_6nd},
          {"memory_per_rank",
           {{"parameters", plan.memory.parameters},
            {"gradients", plan.memory.gradients},
            {"moments", plan.memory.moments},
            {"activations", plan.memory.activations},
            {"workspace", plan.memory.workspace},
            {"total", plan.memory.total()}}}};
}

std::string to_text(const RunPlan& plan) {
  const MemoryPrediction& memory = plan.memory;
  return text("N ", human_count(static_cast<double>(plan.parameters.kaplan_non_embedding)), " (Kaplan), ",
              human_count(static_cast<double>(plan.parameters.trainable)), " trainable; D ",
              human_count(static_cast<double>(plan.tokens)), " tokens of ", plan.sequences,
              " sequences, about ", static_cast<int64_t>(plan.steps), " steps; ", scientific(plan.flops, 2),
              " FLOPs (6ND ", scientific(plan.flops_6nd, 2), "); memory ", human_bytes(memory.total()),
              " (parameters ", human_bytes(memory.parameters), ", gradients ", human_bytes(memory.gradients),
              ", moments ", human_bytes(memory.moments), ", activations ", human_bytes(memory.activations),
              ", workspace ", human_bytes(memory.workspace), ")");
}

}  // namespace esmscale
