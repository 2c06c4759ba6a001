#include "esmscale/accounting/flops.h"

#include "accounting/shapes.h"

#include <vector>

#include <gtest/gtest.h>

namespace esmscale::accounting {
namespace {

// Oracle: the trainable parameters of the official checkpoints (tied decoder, no contact head).
TEST(CountParameters, PublishedTrainableCounts) {
  EXPECT_EQ(count_parameters(esm2_8M()).trainable, 7'512'353);
  EXPECT_EQ(count_parameters(esm2_35M()).trainable, 33'501'153);
  EXPECT_EQ(count_parameters(esm2_150M()).trainable, 148'139'553);
  EXPECT_EQ(count_parameters(esm2_650M()).trainable, 651'042'593);
}

// Oracle: Kaplan's Table 1, written out for 6 blocks of width 320, FFN 1280, 29 tokens.
TEST(CountParameters, KaplanRows) {
  const ParameterCounts counts = count_parameters(esm2_8M(29));
  EXPECT_EQ(counts.embedding, 29 * 320);
  EXPECT_EQ(counts.attention, 6 * (3 * 320 * 320 + 320 * 320));
  EXPECT_EQ(counts.ffn, 6 * 2 * 320 * 1280);
  EXPECT_EQ(counts.head_dense, 320 * 320);
  EXPECT_EQ(counts.head_decoder, 0);
  EXPECT_EQ(counts.kaplan_non_embedding, 2 * 320 * 6 * (2 * 320 + 1280));
  EXPECT_EQ(counts.kaplan_with_head(), counts.kaplan_non_embedding + 320 * 320);
}

// Oracle: our 5M shape is 4.72M by Kaplan's count.
TEST(CountParameters, FiveMillion) {
  EXPECT_NEAR(count_parameters(esm2(6, 256, 16)).kaplan_non_embedding / 1e6, 4.72, 0.005);
}

// Oracle: the formulas' rows for sizes small enough to multiply by hand: L = 1, d = 4, h = 2, f = 8, V = 29,
// S = 3.
TEST(ForwardFlops, RowsByHand) {
  config::ModelConfig model = esm2(1, 4, 2, 29);
  model.ffn = 8;
  const ForwardFlops flops = forward_flops(model, 3);
  EXPECT_EQ(flops.embedding, 696);
  EXPECT_EQ(flops.qkv, 288);
  EXPECT_EQ(flops.attention_logits, 72);
  EXPECT_EQ(flops.attention_softmax, 54);
  EXPECT_EQ(flops.attention_values, 72);
  EXPECT_EQ(flops.attention_output, 96);
  EXPECT_EQ(flops.ffn, 384);
  EXPECT_EQ(flops.head_dense, 96);
  EXPECT_EQ(flops.head_decoder, 696);
  EXPECT_EQ(flops.total(), 696 + 288 + 72 + 54 + 72 + 96 + 384 + 96 + 696);
}

// Oracle: Hoffmann et al. 2022, Table A4: FLOPs over 6·N·S without embedding and logits terms, N being their
// full counts. The table prints two decimals; half a unit of the last is the tolerance, and a little for N's
// rounding.
TEST(ForwardFlops, HoffmannTableA4) {
  struct Row {
    int64_t layers, width, ffn, heads;
    double parameters, ratio;
  };
  const std::vector<Row> rows{{10, 640, 2560, 10, 73.8e6, 1.03},   {20, 1024, 4096, 16, 305.7e6, 1.10},
                              {24, 1280, 5120, 10, 552.5e6, 1.08}, {26, 1792, 7168, 14, 1143e6, 1.04},
                              {28, 2048, 8192, 16, 1593e6, 1.03},  {40, 3584, 14336, 28, 6796e6, 0.99}};
  constexpr double kSequenceLength = 2048;
  for (const Row& row : rows) {
    config::ModelConfig model = esm2(row.layers, row.width, row.heads, 32000);
    model.ffn = row.ffn;
    const ForwardFlops forward = forward_flops(model, kSequenceLength);
    const double blocks = forward.total() - forward.embedding - forward.head_dense - forward.head_decoder;
    EXPECT_NEAR(3 * blocks / (6 * row.parameters * kSequenceLength), row.ratio, 0.0055) << row.parameters;
  }
}

// Oracle: training FLOPs over 6·N at 1,024 rows as computed independently from the table of formulas.
TEST(FlopCounter, RatioToSixN) {
  const auto ratio = [](const config::ModelConfig& model) {
    const FlopCounter counter(model);
    return counter.training(1024, 1024.0 * 1024.0) / counter.six_n_d(1024);
  };
  EXPECT_NEAR(ratio(esm2_8M(29)), 1.57, 0.005);
  EXPECT_NEAR(ratio(esm2_35M(29)), 1.37, 0.005);
  EXPECT_NEAR(ratio(esm2_650M(29)), 1.14, 0.005);
}

// Oracle: the sum over the sequences, one by one. Sums of whole numbers below 2^53 are exact in any order.
TEST(FlopCounter, ClosedFormIsTheSumOverSequences) {
  const config::ModelConfig model = esm2_8M(29);
  double one_by_one = 0, tokens = 0, squared_tokens = 0;
  for (const double n : {2.0, 57.0, 352.0, 1024.0}) {
    one_by_one += 3 * forward_flops(model, n).total();
    tokens += n;
    squared_tokens += n * n;
  }
  EXPECT_EQ(FlopCounter(model).training(tokens, squared_tokens), one_by_one);
  EXPECT_EQ(3 * forward_flops(model, tokens, squared_tokens).total(), one_by_one);
}

// Oracle: the full count less the embedding's product and the head of the rows that are not masked.
TEST(FlopCounter, ExecutedLeavesOutWhatIsNotRun) {
  const config::ModelConfig model = esm2_35M(29);
  const FlopCounter counter(model);
  const ForwardFlops all = forward_flops(model, 1000, 400000);
  const double head = all.head_dense + all.head_decoder;
  EXPECT_EQ(counter.executed(1000, 400000, 1000), 3 * (all.total() - all.embedding));
  EXPECT_EQ(counter.executed(1000, 400000, 150), 3 * (all.total() - all.embedding - 0.85 * head));
  EXPECT_EQ(counter.six_n_d(1000), 6.0 * 12 * 12 * 480 * 480 * 1000);
}

}  // namespace
}  // namespace esmscale::accounting
