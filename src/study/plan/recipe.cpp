#include "esmscale/study/plan/recipe.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>

namespace esmscale::study {
namespace {

constexpr double kHalfMega = 1 << 19;
constexpr double kLeastMeasuredSize = 5e6, kLeastMeasuredBatch = 1 << 17;

int64_t pack_tokens_of(const ConfigOptions& options) {
  return 2 * options.max_seq_len;
}

Advice batch_for(double parameters, double tokens, int64_t pack_tokens) {
  const double largest = parameters >= 1e10 ? 1 << 22 : 1 << 21;
  const double wanted = std::exp2(std::round(std::log2(kHalfMega * std::pow(tokens / 2e10, 0.383))));
  const double bounded = std::min({wanted, tokens / 2000, largest});
  // A batch is a power of two packs, so that ranks and micro-batches divide it.
  const double packs = std::exp2(std::max(0.0, std::floor(std::log2(bounded / double(pack_tokens)) + 1e-9)));
  return {packs * double(pack_tokens),
          "ours: 2^19·(D/2e10)^0.383 to a power of two, at most D/2000 and 2^21, at least a pack"};
}

Advice lr_for(double parameters, double batch, std::vector<std::string>& warnings) {
  if (parameters < kLeastMeasuredSize || batch < kLeastMeasuredBatch) {
    warnings.push_back(
        "the learning rate is a guess below N = 5M or a batch of 131,072 tokens: sweep ½, 1, 2 and 4 times "
        "it");
    return {std::min(4e-3, 4e-3 * std::pow(parameters / 1.5e5, -0.33)),
            "ours: 4e-3·(N/1.5e5)^−0.33, at most 4e-3; from one model of 3 layers of width 64 at 2,048 "
            "tokens a batch"};
  }
  const double ceiling = parameters >= 7e9 ? 1.6e-4 : 1e-3;
  return {std::min(ceiling, 5.3e-4 * std::pow(parameters / 1e8, -0.33) * std::sqrt(batch / kHalfMega)),
          "ours: 5.3e-4·(N/1e8)^−0.33·√(batch/2^19), at most 1e-3 (1.6e-4 from 7B)"};
}

Advice matrix_lr_for(double batch, std::vector<std::string>& warnings) {
  constexpr double peak = 6e-3;
  if (batch < kLeastMeasuredBatch) {
    warnings.push_back(
        "the learning rate of matrices is a guess below a batch of 131,072 tokens: sweep ½, 1 and 2 times "
        "it");
    return {peak, "ours: 6e-3; from one model of 3 layers of width 64 at 2,048 tokens a batch"};
  }
  return {
      peak * std::pow(batch / (2 * kHalfMega), 0.2),
      "ours: 6e-3·(B/2^20)^0.2, whatever the width; from nanoPLM's sweeps at 400M and batches of 1M and 4M"};
}

config::OptimizerConfig optimizer_of(const ConfigOptions& options, const Recipe& recipe) {
  config::OptimizerConfig optimizer;
  optimizer.name = options.optimizer;
  optimizer.lr = recipe.lr.value;
  optimizer.betas = {0.9, 0.98};
  if (optimizer.name == config::OptimizerKind::adamw) optimizer.weight_decay = 0.01;
  if (recipe.matrix_lr.value > 0) optimizer.matrix_lr = recipe.matrix_lr.value;
  return optimizer;
}

// Cheng et al.'s own runs, by size.
double cheng_lr(double n) {
  const struct {
    double up_to, lr;
  } steps[] = {{1.7e7, 1e-3}, {6.5e7, 6e-4},   {1.05e8, 5.5e-4}, {2.3e8, 5e-4},
               {4.9e8, 4e-4}, {9.4e8, 3.5e-4}, {2.7e9, 3e-4},    {INFINITY, 1.2e-4}};
  return std::find_if(std::begin(steps), std::end(steps), [&](const auto& s) { return n <= s.up_to; })->lr;
}

}  // namespace

Recipe recipe_for(double parameters, double tokens, double flops, const ConfigOptions& options) {
  Recipe recipe;
  recipe.batch_tokens = options.batch_tokens > 0 ? Advice{options.batch_tokens, "as given"}
                                                 : batch_for(parameters, tokens, pack_tokens_of(options));
  recipe.lr = options.lr > 0 ? Advice{options.lr, "as given"}
                             : lr_for(parameters, recipe.batch_tokens.value, recipe.warnings);
  if (config::has_matrix_updates(options.optimizer))
    recipe.matrix_lr = matrix_lr_for(recipe.batch_tokens.value, recipe.warnings);
  recipe.warmup_tokens = {std::min(0.1 * tokens, std::max(parameters, 0.025 * tokens)),
                          "ours: max(N, 0.025·D), at most 0.1·D"};
  recipe.published_lr = {
      {cheng_lr(parameters), "Cheng et al. 2024, protein MLM, by size"},
      {parameters >= 1e10 ? 1.6e-4 : 4e-4, "ESM-2 (2M tokens a batch)"},
      {1e-3, "AMPLIFY 120M and 350M"},
      {std::max(0.0, 0.003239 - 0.0001395 * std::log(parameters)),
       "Kaplan et al. 2020, text: 0.003239 − 0.0001395·ln N"},
      {0.3118 * std::pow(flops, -0.125), "DeepSeek 2024, text: 0.3118·C^−0.125 (1e17 to 2e19)"},
      {3.7 * std::pow(parameters, -0.36), "Porian et al. 2024, text: 3.7·N^−0.36"},
      {1.79 * std::pow(parameters, -0.713) * std::pow(tokens, 0.307),
       "Step Law 2025, text: 1.79·N^−0.713·D^0.307"},
      {1.55e-3 * std::pow(parameters / 1e9, -0.23) * std::pow(tokens / 1e9, -0.32),
       "Björck et al. 2024, text: 1.55e-3·(N/1e9)^−0.23·(D/1e9)^−0.32 at 0.5M a batch"}};
  recipe.published_batch = {
      {flops < 3e18       ? 262144.0
       : parameters < 9e8 ? 524288.0
                          : 1048576.0,
       "Cheng et al. 2024, protein MLM"},
      {0.2920 * std::pow(flops, 0.3271), "DeepSeek 2024, text: 0.2920·C^0.3271 (1e17 to 2e19)"},
      {0.7576 * std::pow(parameters, 0.703), "Porian et al. 2024, text: 0.7576·N^0.703"},
      {0.58 * std::pow(tokens, 0.571), "Step Law 2025, text: 0.58·D^0.571"}};
  return recipe;
}

config::RunConfig planned_config(const config::ModelConfig& shape, double parameters, double tokens,
                                 double flops, const ConfigOptions& options) {
  config::RunConfig config;
  config.model = shape;
  config.model.init.decoder_bias = options.decoder_bias;
  config.data.max_seq_len = options.max_seq_len;
  config.train.precision = options.precision;
  config.train.pack_tokens = pack_tokens_of(options);
  const Recipe recipe = recipe_for(parameters, tokens, flops, options);
  config.train.batch_tokens = int64_t(recipe.batch_tokens.value);
  config.train.max_tokens = int64_t(std::llround(tokens));
  if (options.unique_tokens > 0) config.train.epochs = int64_t(std::ceil(tokens / options.unique_tokens));
  config.optimizer = optimizer_of(options, recipe);
  config.schedule.name = options.schedule;
  config.schedule.warmup_tokens = int64_t(recipe.warmup_tokens.value);
  config.study.budget = flops;
  config::resolve(config);
  return config;
}

}  // namespace esmscale::study
