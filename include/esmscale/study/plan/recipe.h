// Learning rate, batch and warm-up for a model of N parameters and D tokens, by rules that are named with
// every number. Ours are recommendations from published fits; the published rules are returned with them.
#pragma once

#include "esmscale/config/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace esmscale::study {

struct Advice {
  double value = 0;
  std::string rule;  // the formula or the source
};

struct Recipe {
  Advice lr, batch_tokens, warmup_tokens;
  Advice matrix_lr;                                   // muon and normuon; else 0
  std::vector<Advice> published_lr, published_batch;  // rule names its source
  std::vector<std::string> warnings;                  // what lies outside a rule's range
};

// What a planned run's configuration holds besides shape and tokens.
struct ConfigOptions {
  int64_t max_seq_len = 1024;
  config::Precision precision = config::Precision::bf16;
  config::ScheduleKind schedule = config::ScheduleKind::exponential;
  config::OptimizerKind optimizer = config::OptimizerKind::adamw;
  config::DecoderBias decoder_bias = config::DecoderBias::zeros;
  double unique_tokens = 0;  // of one epoch; 0: D is taken to fit in one
  double lr = 0;             // 0: the recipe's
  double batch_tokens = 0;   // 0: the recipe's
};

// The batch is a multiple of a pack, 2·max_seq_len. Ours:
//   batch   2^19·(D/2e10)^0.383 to the nearest power of two, at most D/2000 and 2^21 (2^22 from 10B), at
//           least a pack
//   lr      5.3e-4·(N/1e8)^−0.33·√(batch/2^19), at most 1e-3 (1.6e-4 from 7B); below N = 5M or
//           batch = 2^17, where it was not measured, 4e-3·(N/1.5e5)^−0.33 at most 4e-3, to be swept
//   matrix_lr  6e-3·(batch/2^20)^0.2; below batch = 2^17 6e-3, to be swept
//   warm-up max(N, 0.025·D), at most 0.1·D
// What the options give takes its rule's place.
Recipe recipe_for(double parameters, double tokens, double flops, const ConfigOptions& options);

// A resolved configuration of `shape` trained on `tokens` by the recipe for parameters (by the law's count)
// and flops.
config::RunConfig planned_config(const config::ModelConfig& shape, double parameters, double tokens,
                                 double flops, const ConfigOptions& options);

}  // namespace esmscale::study
