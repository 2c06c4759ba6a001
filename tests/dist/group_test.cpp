#include "esmscale/dist/group.h"

#include "support/ranks_in_threads.h"

#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

namespace esmscale::dist {
namespace {

// Oracle: sums of small whole numbers, exact in fp32.
TEST(Group, CollectivesGiveWhatTheirNamesSay) {
  for (const int n : {2, 3, 4})
    with_ranks(n, [n](Ranks& ranks) {
      Group& group = ranks.group(at::kCPU);
      const auto rank = static_cast<float>(ranks.rank());
      ASSERT_EQ(group.size(), n);
      ASSERT_EQ(group.rank(), ranks.rank());

      const at::Tensor sum = at::full({1000}, rank + 1);
      group.all_reduce(sum).wait();
      EXPECT_TRUE(sum.eq(n * (n + 1) / 2).all().item<bool>());

      const at::Tensor whole = at::arange(5 * n, at::kFloat) * (rank + 1), chunk = at::zeros({5});
      group.reduce_scatter(chunk, whole).wait();
      const at::Tensor expected = at::arange(5 * rank, 5 * rank + 5, at::kFloat) * (n * (n + 1) / 2);
      EXPECT_TRUE(chunk.equal(expected));

      const at::Tensor gathered = at::zeros({3 * n});
      group.all_gather(gathered, at::full({3}, rank)).wait();
      for (int r = 0; r < n; ++r)
        EXPECT_TRUE(gathered.narrow(0, 3 * r, 3).eq(r).all().item<bool>()) << "rank " << r;

      const at::Tensor told = at::full({7}, rank);
      group.broadcast(told, n - 1).wait();
      EXPECT_TRUE(told.eq(n - 1).all().item<bool>());
    });
}

// One rank through the backend of its device: every collective gives back what went in.
void expect_same_from_one_rank(const at::Device& device) {
  const MeetingPoint meeting;
  Ranks ranks(meeting.place(0, 1),
              {.heartbeat_seconds = 60, .collective_timeout_seconds = 60, .meet_alone = true});
  Group& group = ranks.group(device);
  ASSERT_EQ(group.size(), 1);
  const at::Tensor numbers = at::arange(1000, at::TensorOptions(device).dtype(at::kFloat));
  const at::Tensor sum = numbers.clone(), chunk = at::zeros_like(numbers), whole = at::zeros_like(numbers),
                   told = numbers.clone();
  group.all_reduce(sum).wait();
  group.reduce_scatter(chunk, numbers).wait();
  group.all_gather(whole, numbers).wait();
  group.broadcast(told, 0).wait();
  for (const at::Tensor& result : {sum, chunk, whole, told}) EXPECT_TRUE(result.equal(numbers));
  ranks.finish();
}

TEST(Group, OneRankOverGloo) {
  expect_same_from_one_rank(at::kCPU);
}

TEST(Group, OneRankOverNccl) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  expect_same_from_one_rank(at::Device(at::kCUDA, 0));
}

TEST(Group, SeveralAreUnderWayAtOnce) {
  with_ranks(3, [](Ranks& ranks) {
    Group& group = ranks.group(at::kCPU);
    std::vector<at::Tensor> sums;
    std::vector<Pending> pending;
    for (int i = 0; i < 8; ++i) {
      sums.push_back(at::full({10000}, static_cast<float>(i + ranks.rank())));
      pending.push_back(group.all_reduce(sums.back()));
    }
    for (size_t i = 0; i < 8; ++i) {
      pending[i].wait();
      EXPECT_TRUE(sums[i].eq(3.0 * static_cast<double>(i) + 3).all().item<bool>()) << i;
    }
    EXPECT_GT(group.traffic().wait_seconds, 0);
  });
}

// Oracle: what a ring sends, 2·S·(n − 1)/n for an all-reduce; Gloo's reduce-scatter is an all-reduce.
TEST(Group, CountsBytes) {
  with_ranks(4, [](Ranks& ranks) {
    Group& group = ranks.group(at::kCPU);
    const auto bytes_of = [&](auto&& collective) {
      const int64_t before = group.traffic().bytes;
      collective().wait();
      return group.traffic().bytes - before;
    };
    const at::Tensor whole = at::zeros({400}), chunk = at::zeros({100});
    EXPECT_EQ(bytes_of([&] { return group.all_reduce(whole); }), 2 * 1600 * 3 / 4);
    EXPECT_EQ(bytes_of([&] { return group.reduce_scatter(chunk, whole); }), 2 * 1600 * 3 / 4);
    EXPECT_EQ(bytes_of([&] { return group.all_gather(whole, chunk); }), 1600 * 3 / 4);
  });
}

TEST(Group, OfOneIsFree) {
  Group alone;
  EXPECT_EQ(alone.size(), 1);
  const at::Tensor sum = at::full({4}, 3.0F), copy = at::zeros({4});
  alone.all_reduce(sum).wait();
  EXPECT_TRUE(sum.eq(3).all().item<bool>());
  alone.reduce_scatter(copy, sum).wait();
  EXPECT_TRUE(copy.equal(sum));
  EXPECT_EQ(alone.traffic().bytes, 0);
}

}  // namespace
}  // namespace esmscale::dist
