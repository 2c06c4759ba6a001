#include "train/full_disk.h"

#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

const auto never = [] { return false; };

double seconds_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST(FullDisk, IsBorneForAWhile) {
  FullDisk disk(0.4 / 60);
  EXPECT_FALSE(disk.is_due());
  EXPECT_FALSE(disk.is_over());
  disk.refuse();
  EXPECT_FALSE(disk.is_due()) << "not at once";
  EXPECT_FALSE(disk.is_over());
  EXPECT_LE(disk.seconds_left(), 0.4);
  int tries = 0;
  for (; !disk.is_over(); ++tries) {
    disk.pause(never);
    EXPECT_TRUE(disk.is_due() || disk.is_over());
    disk.refuse();
  }
  EXPECT_GE(tries, 2);
  EXPECT_LE(tries, 5);
}

TEST(FullDisk, RoomBeginsTheTimeAnew) {
  FullDisk disk(0.1 / 60);
  disk.refuse();
  while (!disk.is_over()) disk.pause(never);
  disk.relieve();
  EXPECT_FALSE(disk.is_over());
  disk.refuse();
  EXPECT_FALSE(disk.is_over());
}

TEST(FullDisk, WithoutPatienceTheFirstRefusalIsTheLast) {
  FullDisk disk(0);
  disk.refuse();
  EXPECT_TRUE(disk.is_over());
}

// A stopped run ends in seconds: whoever stopped it waits.
TEST(FullDisk, AStopLeavesSeconds) {
  FullDisk disk(10);
  disk.refuse();
  EXPECT_LT(seconds_of([&] { disk.pause([] { return true; }); }), 1);
  EXPECT_LT(disk.seconds_left(), 10);
  disk.refuse();
  EXPECT_LT(seconds_of([&] { disk.pause([] { return true; }); }), 4);
}

}  // namespace
}  // namespace esmscale::train
