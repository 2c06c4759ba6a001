// Oracles: the same by hand, or sums in double.
#include "esmscale/kernels/cpu/rows.h"

#include "kernels/support.h"

namespace esmscale::kernels::cpu {
namespace {

const std::vector<int64_t> kRows{1, 4, 5};

TEST(Rows, GatherTakesAndScatterAddsBack) {
  const Floats from = normals(6 * 7, 1);
  Floats gathered = garbage(3 * 7), to(6 * 7, 1.0f);
  for (int64_t m : {2, 0, 1}) {
    gather_rows(from.data(), kRows.data(), 7, gathered.data(), {m, m + 1});
    scatter_add_rows(gathered.data(), kRows.data(), 7, to.data(), {m, m + 1});
  }
  for (int64_t m = 0; m < 3; ++m)
    for (int64_t c = 0; c < 7; ++c) ASSERT_EQ(gathered[m * 7 + c], from[kRows[m] * 7 + c]);
  for (int64_t t = 0; t < 6; ++t)
    for (int64_t c = 0; c < 7; ++c) ASSERT_EQ(to[t * 7 + c], t == 1 || t >= 4 ? 1 + from[t * 7 + c] : 1.0f);
}

TEST(Rows, Add) {
  const Floats from = normals(9, 2);
  Floats to(9, 2.0f);
  add(from.data(), to.data(), {3, 8});
  for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(to[i], i >= 3 && i < 8 ? from[i] + 2 : 2.0f);
}

TEST(Rows, ColumnSumsDoNotDependOnTheCut) {
  constexpr int64_t kCount = 300, kWidth = 13;
  const Floats x = normals(kCount * kWidth, 3);
  const int64_t blocks = row_blocks(kCount);
  ASSERT_EQ(blocks, 5);
  Floats totals[2];
  for (bool cut : {false, true}) {
    Floats partials = garbage(blocks * kWidth), total(kWidth, 0.5f);  // totals accumulate
    if (cut) {
      for (Range range : {Range{3, 5}, Range{0, 3}})
        column_sums(x.data(), kWidth, partials.data(), range, kCount);
      for (Range range : {Range{9, 13}, Range{0, 9}})
        sum_partials(partials.data(), blocks, kWidth, total.data(), range);
    } else {
      column_sums(x.data(), kWidth, partials.data(), {0, blocks}, kCount);
      sum_partials(partials.data(), blocks, kWidth, total.data(), {0, kWidth});
    }
    totals[cut] = total;
  }
  EXPECT_EQ(totals[0], totals[1]);
  Doubles wanted(kWidth, 0.5);
  for (size_t i = 0; i < x.size(); ++i) wanted[i % kWidth] += x[i];
  expect_near_all(totals[0], wanted, 1e-6, "column sums");
}

}  // namespace
}  // namespace esmscale::kernels::cpu
