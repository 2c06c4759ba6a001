#include "esmscale/dist/replicas.h"

#include "support/error_of.h"
#include "support/ranks_in_threads.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::dist {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

void flip_bit(const at::Tensor& flat, int64_t place, int bit) {
  flat.view(at::kInt).mutable_data_ptr<int32_t>()[place] ^= static_cast<int32_t>(1U << bit);
}

// Tables with no whole row, of whole rows only, and with a rest.
TEST(Replicas, AChecksumFindsAnyBit) {
  for (const int64_t size : {1L, 700L, 4096L, 3L * 4096 + 5}) {
    const at::Tensor flat = at::randn({size});
    const std::string before = checksum_of_bits(flat);
    EXPECT_EQ(checksum_of_bits(flat.clone()), before);
    for (const int64_t place : {int64_t{0}, size / 3, size - 1})
      for (const int bit : {0, 15, 31}) {
        flip_bit(flat, place, bit);
        EXPECT_NE(checksum_of_bits(flat), before) << size << " floats, " << place << ", bit " << bit;
        flip_bit(flat, place, bit);
      }
    EXPECT_EQ(checksum_of_bits(flat), before);
  }
}

TEST(Replicas, AChecksumFindsValuesThatChangePlaces) {
  const at::Tensor flat = at::randn({3 * 4096 + 5});
  const std::string before = checksum_of_bits(flat);
  for (const auto& [a, b] : {std::pair{0, 1}, {5, 5 + 4096}, {4095, 4096}, {12288, 12292}}) {
    float* values = flat.mutable_data_ptr<float>();
    std::swap(values[a], values[b]);
    EXPECT_NE(checksum_of_bits(flat), before) << a << " and " << b;
    std::swap(values[a], values[b]);
  }
  // Not equal by value alone: −0 and 0, and two NaNs.
  EXPECT_NE(checksum_of_bits(at::full({4}, 0.0F)), checksum_of_bits(at::full({4}, -0.0F)));
}

TEST(Replicas, TheRankThatDiffersIsNamed) {
  with_ranks(3, [](Ranks& ranks) {
    const at::Tensor flat = at::full({5000}, 1.5F);
    require_equal_replicas({flat}, ranks, "at step 1");
    if (ranks.rank() == 0) flip_bit(flat, 4321, 0);
    EXPECT_THAT(error_of([&] { require_equal_replicas({flat}, ranks, "at step 2"); }),
                AllOf(HasSubstr("the weights at step 2"), HasSubstr("others on rank 0")));
  });
  with_ranks(2, [](Ranks& ranks) {
    const at::Tensor flat = at::full({5000}, ranks.is_first() ? 1.0F : 2.0F);
    EXPECT_THAT(error_of([&] { require_equal_replicas({flat}, ranks, "at step 1"); }),
                HasSubstr("others on rank 1 than on rank 0"));
  });
}

TEST(Replicas, OneRankHasNothingToCompare) {
  Ranks alone;
  require_equal_replicas({at::empty({3})}, alone, "at step 1");
}

}  // namespace
}  // namespace esmscale::dist
