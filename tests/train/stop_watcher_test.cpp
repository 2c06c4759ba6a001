#include "train/stop_watcher.h"

#include <cmath>
#include <thread>

#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

// One of a thousand micro-batches took 50 ms or more: the rest takes at least 49.95 s, beyond the patience of
// 20 s.
TEST(StopWatcher, AStepIsTooLongOnlyAfterASignal) {
  const StopSignal stop;
  StopWatcher watcher(stop, /*logs=*/false);
  watcher.begin_step(/*step=*/1, /*micro_batches=*/1000);
  EXPECT_TRUE(std::isnan(watcher.seconds_left())) << "nothing is known before the first micro-batch is done";
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  watcher.begin_micro_batch(1);
  EXPECT_GE(watcher.seconds_left(), 999 * 0.05);
  EXPECT_FALSE(watcher.is_too_long());
  ::raise(SIGTERM);
  EXPECT_TRUE(watcher.is_too_long());
  watcher.begin("the checkpoint");
  EXPECT_FALSE(watcher.is_too_long()) << "a checkpoint is waited for";
}

}  // namespace
}  // namespace esmscale::train
