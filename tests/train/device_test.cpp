#include "esmscale/train/device.h"

#include "esmscale/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

TEST(Device, AutoTakesAGpuWhereThereIsOne) {
  EXPECT_EQ(choose_device("auto").is_cuda(), gpu_count() > 0);
  EXPECT_FALSE(choose_device("cpu").is_cuda());
  EXPECT_THROW(choose_device("gpu"), Error);
}

TEST(Device, ARankForEachGpuInUse) {
  EXPECT_EQ(ranks_of_machine("cuda", 8), 8);
  EXPECT_EQ(ranks_of_machine("auto", 8), 8) << "auto takes GPUs where there are some";
  EXPECT_EQ(ranks_of_machine("cpu", 8), 1);
  EXPECT_EQ(ranks_of_machine("auto", 0), 1);
}

}  // namespace
}  // namespace esmscale::train
