// Where the last block has masked rows only, accounting counts no others: what it says of a configuration
// must be what the engine does.
#include "esmscale/accounting/memory.h"
#include "esmscale/model/engine.h"
#include "support/batches.h"

#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

TEST(MaskedEnd, AccountingKnowsWhatTheEngineDoes) {
  for (const int64_t head_dim : {8, 16, 24, 32, 48, 64, 128}) {
    config::RunConfig config;
    config.model = model::model_of(1, 2 * head_dim, 2);
    const model::Weights weights = model::random_weights(config.model, 1);
    for (const auto engine : {config::EngineKind::plain, config::EngineKind::fused}) {
      config.train.engine = engine;
      EXPECT_EQ(model::make_engine(weights, {.engine = engine})->prunes_last_block(),
                accounting::prunes_last_block(config, config::DeviceKind::cpu))
          << enum_name(engine) << ", head_dim " << head_dim;
    }
    for (const auto precision : {config::Precision::bf16, config::Precision::fp32}) {
      config.train.precision = precision;
      EXPECT_EQ(model::make_engine_of_gpu_kernels(weights, {.precision = precision})->prunes_last_block(),
                accounting::prunes_last_block(config, config::DeviceKind::gpu))
          << enum_name(precision) << ", head_dim " << head_dim;
    }
  }
}

}  // namespace
}  // namespace esmscale::train
