#include "esmscale/train/process/device.h"

#include "esmscale/core/error.h"
#include "support/error_of.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Device, AutoTakesAGpuWhereThereIsOne) {
  EXPECT_EQ(choose_device(DeviceChoice::automatic).is_cuda(), gpu_count() > 0);
  EXPECT_FALSE(choose_device(DeviceChoice::cpu).is_cuda());
}

TEST(Device, ACpuHasNoFastBf16) {
  EXPECT_FALSE(has_bf16(config::DeviceKind::cpu));
  if (gpu_count() > 0) return;
  EXPECT_TRUE(has_bf16(config::DeviceKind::gpu)) << "one elsewhere is taken to have it";
}

TEST(Device, RanksOfANodeTakeTheGpusInTurn) {
  EXPECT_EQ(gpu_of(3, 8), 3);
  EXPECT_EQ(gpu_of(3, 1), 0) << "srun has bound one GPU to each task";
  EXPECT_EQ(gpu_of(-1, 1), 0);
  EXPECT_THAT(error_of([] { gpu_of(8, 8); }), HasSubstr("start fewer ranks"));
  EXPECT_THAT(error_of([] { gpu_of(-1, 4); }), AllOf(HasSubstr("LOCAL_RANK"), HasSubstr("4 GPUs")));
}

TEST(Device, ARankForEachGpuInUse) {
  EXPECT_EQ(ranks_of_machine(DeviceChoice::cuda, 8), 8);
  EXPECT_EQ(ranks_of_machine(DeviceChoice::automatic, 8), 8) << "auto takes GPUs where there are some";
  EXPECT_EQ(ranks_of_machine(DeviceChoice::cpu, 8), 1);
  EXPECT_EQ(ranks_of_machine(DeviceChoice::automatic, 0), 1);
}

}  // namespace
}  // namespace esmscale::train
