#include "esmscale/accounting/memory.h"

#include "accounting/shapes.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/config/shard_layout.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale::accounting {
namespace {

config::RunConfig run_of(const config::ModelConfig& model, int64_t rows, const std::string& engine) {
  config::RunConfig config;
  config.model = model;
  config.data.max_seq_len = rows / 2;
  config.train.batch_tokens = rows;
  config.train.micro_batch_tokens = rows;
  config.train.engine = enum_from_name<config::EngineKind>(engine, "engine");
  config::resolve(config);
  return config;
}

MemoryPrediction predict(const config::RunConfig& config, int ranks = 1) {
  return predict_memory(config, ranks, usual_device(config));
}

// Oracle: the highest allocation of LibTorch's CPU allocator (its profiler's figure) over forward and
// backward of such a stack of blocks and a bare decoder, parameters apart. It had no head dense, hence 5%.
TEST(PredictMemory, PlainEngineAgainstTheAllocator) {
  struct Measured {
    config::ModelConfig model;
    int64_t rows;
    double bytes;
  };
  for (const auto& [model, rows, bytes] :
       {Measured{esm2_8M(29), 2100, 325'454'856}, Measured{esm2_35M(29), 2048, 926'237'032}}) {
    const MemoryPrediction memory = predict(run_of(model, rows, "plain"));
    EXPECT_NEAR(memory.activations + memory.workspace, bytes, 0.05 * bytes);
  }
}

// Oracle: elements counted by hand for one block: 10 rows of width (D or, four times, F/4) and 4 + H numbers
// a row in the fused engine, 19 in the plain one; all of it scales with the blocks.
TEST(PredictMemory, BlocksByHand) {
  const auto per_block = [](const std::string& engine) {
    const double one = predict(run_of(esm2(1, 320, 20, 29), 2048, engine)).activations;
    const double two = predict(run_of(esm2(2, 320, 20, 29), 2048, engine)).activations;
    return two - one;
  };
  EXPECT_EQ(per_block("plain"), 4.0 * 2048 * (19 * 320 + 4 + 20));
  EXPECT_EQ(per_block("fused"), 4.0 * 2048 * (10 * 320 + 4 + 20));
}

// Oracle: the last block by hand: three rows of width and two numbers at every position, seven and H + 2 at
// the 308 that are masked.
TEST(PredictMemory, TheLastBlockHasMaskedRowsBehindItsKeys) {
  const auto activations = [](int64_t layers) {
    return predict(run_of(esm2(layers, 320, 20, 29), 2048, "fused")).activations;
  };
  const double block = activations(3) - activations(2);
  const double outside = 4.0 * (2 * 2048 * 16 + 308 * (5 * 320 + 2 + 29));
  EXPECT_EQ(activations(2) - block - outside, 4.0 * (2048 * (3 * 320 + 2) + 308 * (7 * 320 + 20 + 2)));
}

// Oracle: fp32 on a GPU has LibTorch's attention, which asks at every row: two blocks alike, and the final
// LayerNorm on all rows. Its log-sum-exp is padded to the longest sequence, here 1,024 rows where the mean is
// 367. Plain, it saves attention's output once where a CPU joins what it has by sequence.
TEST(PredictMemory, SinglePrecisionOnAGpu) {
  const auto activations = [](int64_t layers, const char* engine) {
    return predict_memory(run_of(esm2(layers, 320, 20, 29), 2048, engine), 1, config::DeviceKind::gpu)
        .activations;
  };
  const double lse = 20 * 1024 / 367.0, block = 4.0 * 2048 * (10 * 320 + 4 + lse);
  EXPECT_DOUBLE_EQ(activations(2, "fused") - activations(1, "fused"), block);
  EXPECT_DOUBLE_EQ(activations(1, "fused") - block, 4.0 * (2048 * (2 * 16 + 320 + 2) + 308 * (4 * 320 + 29)));
  EXPECT_DOUBLE_EQ(activations(2, "plain") - activations(1, "plain"), 4.0 * 2048 * (18 * 320 + 4 + lse));
}

// Oracle: the peaks that two runs of the 8M model on Swiss-Prot at 50% identity measured on an H200: 3.62 and
// 5.10 GB. LibTorch's attention there takes room by the longest sequence, which lengths decide: hence 5%.
TEST(PredictMemory, SinglePrecisionOnAGpuAgainstARun) {
  for (const auto& [engine, measured] : {std::pair{"fused", 3.62e9}, std::pair{"plain", 5.10e9}}) {
    config::RunConfig config = run_of(esm2_8M(29), 32'768, engine);
    config.data.max_seq_len = 1024;
    EXPECT_NEAR(predict_memory(config, 1, config::DeviceKind::gpu).total(), measured, 0.05 * measured)
        << engine;
  }
}

// Two bytes for every weight of the inner blocks' matrices, and one for an operand of the widest product.
TEST(PredictMemory, Fp8AddsItsCopiesToBf16) {
  const auto predicted = [](config::Precision precision) {
    config::RunConfig config = run_of(esm2(4, 320, 20, 29), 2048, "fused");
    config.train.precision = precision;
    return predict_memory(config, 1, config::DeviceKind::gpu);
  };
  const MemoryPrediction bf16 = predicted(config::Precision::bf16), fp8 = predicted(config::Precision::fp8);
  EXPECT_DOUBLE_EQ(fp8.parameters - bf16.parameters, 2.0 * 2 * 12 * 320 * 320);
  EXPECT_DOUBLE_EQ(fp8.activations, bf16.activations);
  EXPECT_DOUBLE_EQ(fp8.total() - bf16.total(), 2.0 * 2 * 12 * 320 * 320 + 2048.0 * 4 * 320);
}

// Two bytes more for every weight, and room for the factors and the result of a product in bf16.
TEST(PredictMemory, Bf16OnACpuKeepsActivationsInFp32) {
  const auto predicted = [](config::Precision precision) {
    config::RunConfig config = run_of(esm2(4, 320, 20, 29), 2048, "fused");
    config.train.precision = precision;
    return predict_memory(config, 1, config::DeviceKind::cpu);
  };
  const MemoryPrediction fp32 = predicted(config::Precision::fp32), bf16 = predicted(config::Precision::bf16);
  EXPECT_DOUBLE_EQ(bf16.parameters, 1.5 * fp32.parameters);
  EXPECT_DOUBLE_EQ(bf16.activations, fp32.activations);
  EXPECT_DOUBLE_EQ(bf16.workspace - fp32.workspace, 2.0 * 2048 * 5 * 320);
}

// Oracle: `auto` is the plain engine where the kernels for a GPU do not take a model's heads (of 20 numbers
// here), and the fused one on a CPU, which takes them all.
TEST(PredictMemory, AutoIsTheEngineThatWillRun) {
  const config::ModelConfig odd_heads = esm2(2, 320, 16, 29);
  const auto activations = [&](const char* engine, config::DeviceKind device) {
    return predict_memory(run_of(odd_heads, 2048, engine), 1, device).activations;
  };
  EXPECT_EQ(activations("auto", config::DeviceKind::gpu), activations("plain", config::DeviceKind::gpu));
  EXPECT_EQ(activations("auto", config::DeviceKind::cpu), activations("fused", config::DeviceKind::cpu));
  EXPECT_LT(activations("fused", config::DeviceKind::cpu), activations("plain", config::DeviceKind::cpu));
}

// Oracle: two LayerNorm outputs and GELU's of every block, at masked rows after the last one's keys and
// values; and GELU's has then no second copy in backward.
TEST(PredictMemory, WithoutRecomputationOutputsAreKept) {
  config::RunConfig config = run_of(esm2_8M(29), 2048, "fused");
  const MemoryPrediction again = predict(config);
  config.train.recompute = config::Recompute::none;
  const MemoryPrediction kept = predict(config);
  const double block = 4.0 * 2048 * 6 * 320, last = 4.0 * (2048 * 320 + 308 * 5 * 320);
  EXPECT_EQ(kept.activations - again.activations, 5 * block + last);
  EXPECT_LT(kept.workspace, again.workspace);
}

// Oracle: recomputation keeps one block whole and the input of every other.
TEST(PredictMemory, RecomputationKeepsBlockInputs) {
  config::RunConfig config = run_of(esm2_8M(29), 2048, "fused");
  const double kept = predict(config).activations;
  config.train.recompute = config::Recompute::blocks;
  const double last = 4.0 * (2048 * (2 * 320 + 2) + 308 * (7 * 320 + 20 + 2));
  const double freed = 4 * 4.0 * 2048 * (9 * 320 + 4 + 20) + last;
  EXPECT_EQ(predict(config).activations, kept - freed);
}

// Oracle: the definition of the ZeRO stages: 4 bytes a parameter in each flat buffer, stage 1 shares out the
// two moments, stage 2 the gradients too (and has buckets in flight, which are smaller than the whole).
// Buckets are padded to a line a rank: less than a thousandth.
TEST(PredictMemory, ZeroStages) {
  config::RunConfig config = run_of(esm2_150M(), 2048, "fused");
  const auto P = static_cast<double>(count_parameters(config.model).trainable);
  const auto stage = [&](int64_t zero_stage, int ranks) {
    config.parallel.zero_stage = zero_stage;
    return predict(config, ranks);
  };
  for (const int64_t any : {0, 1, 2}) {
    const MemoryPrediction alone = stage(any, 1);
    EXPECT_EQ(alone.parameters, 4 * P);
    EXPECT_EQ(alone.gradients, 4 * P);
    EXPECT_EQ(alone.moments, 8 * P);
  }
  EXPECT_EQ(stage(0, 8).moments, 8 * P);
  EXPECT_NEAR(stage(0, 8).gradients, 4 * P, 1e-3 * P);
  EXPECT_NEAR(stage(1, 8).moments, P, 1e-3 * P);
  EXPECT_NEAR(stage(1, 8).gradients, 4.5 * P, 1e-3 * P);
  EXPECT_NEAR(stage(2, 8).moments, P, 1e-3 * P);
  EXPECT_GT(stage(2, 8).gradients, P / 2);
  EXPECT_LT(stage(2, 8).gradients, P / 2 + 3 * 8 * config::ShardLayout::kBucketBytesPerRank);
  EXPECT_EQ(stage(2, 8).parameters, 4 * P);
  EXPECT_EQ(stage(2, 8).activations, stage(0, 1).activations);
}

// By hand: 2 bytes a parameter on every rank and 16 on the rank that updates it, for 64 ranks 2.25, and fp32
// vectors, of which 48 blocks of width 5,120 have 13 each. A card of 80 GB holds it with the blocks' inputs.
TEST(PredictMemory, ShardedMastersOf15B) {
  config::RunConfig config = run_of(esm2(48, 5120, 40, 33), 2048, "fused");
  config.train.precision = config::Precision::bf16;
  config.train.recompute = config::Recompute::blocks;
  config.parallel.zero_stage = 2;
  const auto P = static_cast<double>(count_parameters(config.model).trainable);
  EXPECT_GT(predict(config, 64).total(), 85e9);
  config.parallel.master_weights = config::MasterWeights::sharded;
  const MemoryPrediction memory = predict(config, 64);
  EXPECT_NEAR(memory.parameters, 2 * P + 4 * P / 64 + 4.0 * 48 * 13 * 5120, 1e-3 * P);
  EXPECT_LT(memory.total(), 0.9 * 80e9);
  config.parallel.zero_stage = 1;
  EXPECT_EQ(predict(config, 64).parameters, memory.parameters);
  EXPECT_EQ(predict(config, 1).parameters, 6 * P) << "one rank has nothing to share out";
}

// Oracle: four packs a batch and two a micro-batch: on two ranks a micro-batch each, on three one rank still
// has two packs, on four each has one.
TEST(PredictMemory, ARankHasItsPacksOfABatch) {
  config::RunConfig config = run_of(esm2_8M(29), 4096, "fused");
  config.train.pack_tokens = 1024;
  config.train.micro_batch_tokens = 2048;
  const auto activations = [&](int ranks) { return predict(config, ranks).activations; };
  EXPECT_EQ(activations(2), activations(1));
  EXPECT_EQ(activations(3), activations(1));
  config.train.micro_batch_tokens = 1024;
  EXPECT_EQ(activations(4), activations(1));
  config.train.micro_batch_tokens = 2048;
  EXPECT_EQ(activations(4), predict(run_of(esm2_8M(29), 1024, "fused")).activations);
}

// Oracle: bf16 halves every row of width and adds a 2-byte copy of the parameters; statistics stay fp32.
TEST(PredictMemory, HalfPrecision) {
  config::RunConfig config = run_of(esm2(2, 320, 20, 29), 2048, "fused");
  config::RunConfig smaller = run_of(esm2(1, 320, 20, 29), 2048, "fused");
  config.train.precision = smaller.train.precision = config::Precision::bf16;
  const MemoryPrediction memory = predict(config);
  EXPECT_EQ(memory.parameters, 6.0 * static_cast<double>(count_parameters(config.model).trainable));
  EXPECT_EQ(memory.activations - predict(smaller).activations, 2.0 * 2048 * 10 * 320 + 4.0 * 2048 * (4 + 20));
}

// By hand: a matrix of muon has one moment, 4 bytes a number; normuon has one more for each row. On 8
// ranks everything except the rows is shared out.
TEST(PredictMemory, MatricesHaveOneMoment) {
  config::RunConfig config = run_of(esm2_150M(), 2048, "fused");
  const ParameterCounts counts = count_parameters(config.model);
  const auto P = static_cast<double>(counts.trainable);
  const auto matrices = static_cast<double>(counts.kaplan_with_head());
  const double adam = predict(config).moments;
  config.optimizer.name = config::OptimizerKind::muon;
  EXPECT_EQ(predict(config).moments, adam - 4 * matrices);
  config.parallel.zero_stage = 1;
  EXPECT_NEAR(predict(config, 8).moments, (8 * P - 4 * matrices) / 8, 0.2 * P);
  config.parallel.zero_stage = 0;
  config.optimizer.name = config::OptimizerKind::normuon;
  EXPECT_EQ(predict(config).moments, adam - 4 * matrices + 4.0 * (30 * 9 * 640 + 640));
}

// By hand, docs/learning.md: 300·d³ a block and 30·d³ for the head's dense, whatever the batch.
TEST(UpdateFlops, ByHand) {
  config::RunConfig config = run_of(esm2_150M(), 2048, "fused");
  EXPECT_EQ(update_flops(config), 0);
  config.optimizer.name = config::OptimizerKind::normuon;
  EXPECT_DOUBLE_EQ(update_flops(config), (30 * 300 + 30) * std::pow(640.0, 3));
}

TEST(PredictMemory, TotalIsTheSumOfTheParts) {
  const MemoryPrediction m{
      .parameters = 1, .gradients = 2, .moments = 4, .averages = 32, .activations = 8, .workspace = 16};
  EXPECT_EQ(m.total(), 63);
}

}  // namespace
}  // namespace esmscale::accounting
