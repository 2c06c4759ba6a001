// Oracle: each row by its formula.
#include "esmscale/kernels/cpu/embedding.h"

#include "kernels/support.h"

namespace esmscale::kernels::cpu {
namespace {

constexpr int64_t kVocabulary = 7, kWidth = 10, kRows = 12;
const std::vector<int64_t> kTokens{0, 4, 4, 6, 1, 0, 2, 4, 3, 5, 1, 4};
// Two sequences, 2 masks of 5 and 2 of 7: 0.88 / (1 − 2/5) and 0.88 / (1 − 2/7), zero for the masks.
const Floats kFactors{0.88f / 0.6f, 0, 0,      0.88f / 0.6f, 0.88f / 0.6f, 1.232f,
                      1.232f,       0, 1.232f, 1.232f,       1.232f,       0};

struct Case : testing::TestWithParam<bool> {
  const Embedding work{.rows = kRows,
                       .width = kWidth,
                       .tokens = kTokens.data(),
                       .factors = GetParam() ? kFactors.data() : nullptr};
  float factor(int64_t t) const { return GetParam() ? kFactors[t] : 1.0f; }
};
using EmbeddingTest = Case;
INSTANTIATE_TEST_SUITE_P(TokenDropout, EmbeddingTest, testing::Bool());

TEST_P(EmbeddingTest, Forward) {
  const Floats table = normals(kVocabulary * kWidth, 1);
  Floats x = garbage(kRows * kWidth);
  for (int64_t t = kRows - 1; t >= 0; --t) embedding_forward(work, table.data(), x.data(), {t, t + 1});
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t c = 0; c < kWidth; ++c)
      ASSERT_EQ(x[t * kWidth + c], table[kTokens[t] * kWidth + c] * factor(t)) << t;
}

// Sums of at most four numbers: a few roundings of 2^-24.
TEST_P(EmbeddingTest, BackwardAddsByToken) {
  const Floats dx = normals(kRows * kWidth, 2);
  Floats dtable(kVocabulary * kWidth, 1.0f);  // it accumulates
  Doubles wanted(kVocabulary * kWidth, 1.0);
  for (Range columns : {Range{7, 10}, Range{0, 7}})
    embedding_backward(work, dx.data(), dtable.data(), columns);
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t c = 0; c < kWidth; ++c)
      wanted[kTokens[t] * kWidth + c] += static_cast<double>(dx[t * kWidth + c]) * factor(t);
  expect_near_all(dtable, wanted, 3e-7, "dtable");
}

}  // namespace
}  // namespace esmscale::kernels::cpu
