// Oracles: Hugging Face's rule written out in double, numbers worked out by hand.
#include "esmscale/kernels/embedding.h"

#include "support.h"

namespace esmscale::kernels {
namespace {

constexpr int32_t kMask = 4;
constexpr int64_t kVocabulary = 7;

struct Problem {
  int64_t width = 10;
  std::vector<int32_t> tokens{0, 4, 4, 6, 1, 0, 2, 4, 3, 5, 1, 4};
  std::vector<int32_t> cu_seqlens{0, 5, 5, 11, 12};
  std::vector<int32_t> mask_counts{2, 0, 1, 1};
  Floats table = normals(kVocabulary * 10, 1), dx = normals(12 * 10, 2);

  EmbeddingInputs inputs(bool on) const {
    return {.width = width,
            .tokens = tokens,
            .cu_seqlens = cu_seqlens,
            .mask_counts = mask_counts,
            .dropout = {.on = on, .mask_token = kMask}};
  }
};

// What each row's embedding is multiplied by: 0.88 / (1 − 2/5), 0.88 / (1 − 1/6), zero for masks.
const Doubles kFactors{0.88 / 0.6, 0, 0, 0.88 / 0.6, 0.88 / 0.6, 1.056, 1.056, 0, 1.056, 1.056, 1.056, 0};

TEST(TokenDropout, ScaleIsPerSequence) {
  const TokenDropout dropout{.on = true, .mask_token = kMask};
  EXPECT_FLOAT_EQ(dropout.scale(0, 100), 0.88f);
  EXPECT_FLOAT_EQ(dropout.scale(12, 100), 1.0f);
  EXPECT_EQ(dropout.scale(3, 3), 0.0f);
  EXPECT_FLOAT_EQ((TokenDropout{.on = true, .mlm_probability = 0.4f}.scale(1, 2)), 1.36f);
  EXPECT_EQ((TokenDropout{.on = false}.scale(1, 2)), 1.0f);
}

TEST(Embedding, ForwardWithDropout) {
  const Problem p;
  Floats x = garbage(12 * p.width);
  for (int64_t n : {3, 1, 0, 2}) embedding_forward(p.inputs(true), p.table.data(), x.data(), {n, n + 1});
  Doubles wanted;
  for (size_t t = 0; t < p.tokens.size(); ++t)
    for (int64_t c = 0; c < p.width; ++c) wanted.push_back(p.table[p.tokens[t] * p.width + c] * kFactors[t]);
  expect_near_all(x, wanted, 2e-7, "x");  // three roundings
}

TEST(Embedding, ForwardWithoutDropoutIsACopy) {
  const Problem p;
  Floats x = garbage(12 * p.width);
  embedding_forward(p.inputs(false), p.table.data(), x.data(), {0, 4});
  for (size_t t = 0; t < p.tokens.size(); ++t)
    for (int64_t c = 0; c < p.width; ++c) ASSERT_EQ(x[t * p.width + c], p.table[p.tokens[t] * p.width + c]);
}

TEST(Embedding, BackwardAddsByToken) {
  const Problem p;
  for (bool on : {true, false}) {
    Floats dtable(kVocabulary * 10, 1.0f);  // it accumulates
    Doubles wanted(kVocabulary * 10, 1.0);
    for (Range columns : {Range{7, 10}, Range{0, 7}})
      embedding_backward(p.inputs(on), p.dx.data(), dtable.data(), columns);
    for (size_t t = 0; t < p.tokens.size(); ++t)
      for (int64_t c = 0; c < p.width; ++c)
        wanted[p.tokens[t] * p.width + c] += p.dx[t * p.width + c] * (on ? kFactors[t] : 1);
    expect_near_all(dtable, wanted, 5e-7, "dtable");
  }
}

}  // namespace
}  // namespace esmscale::kernels
