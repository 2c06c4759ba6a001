#include "esmscale/run/throughput.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale::run {
namespace {

TEST(ThroughputMeter, NothingIsKnownBeforeTheFirstStep) {
  const Throughput throughput = ThroughputMeter(1000, 0, 5).throughput();
  EXPECT_EQ(throughput.tokens_per_second, 0);
  EXPECT_TRUE(std::isnan(throughput.seconds_left));
}

// Oracle: 100 tokens and 1,000 FLOPs every 2 s, written out.
TEST(ThroughputMeter, SteadyPace) {
  ThroughputMeter meter(1000, 300, 10);
  for (int step = 1; step <= 3; ++step) meter.add_step(10 + 2 * step, 100, 1000);
  const Throughput throughput = meter.throughput();
  EXPECT_EQ(throughput.tokens_per_second, 50);
  EXPECT_EQ(throughput.flops_per_second, 500);
  EXPECT_EQ(throughput.seconds_left, (1000 - 600) / 50.0);
}

// Oracle: the last 30 s alone: a slow beginning is forgotten, whatever the number of steps in the window.
TEST(ThroughputMeter, OnlyTheWindowCounts) {
  ThroughputMeter meter(0, 0, 0, 30);
  meter.add_step(100, 10, 10);
  for (int step = 1; step <= 20; ++step) meter.add_step(100 + 3 * step, 90, 9);
  EXPECT_EQ(meter.throughput().tokens_per_second, 30);
  EXPECT_EQ(meter.throughput().flops_per_second, 3);
  EXPECT_TRUE(std::isnan(meter.throughput().seconds_left)) << "no plan, no end";
}

TEST(ThroughputMeter, StepsLongerThanTheWindow) {
  ThroughputMeter meter(0, 0, 0, 30);
  meter.add_step(100, 1000, 0);
  meter.add_step(200, 3000, 0);
  EXPECT_EQ(meter.throughput().tokens_per_second, 30);
}

// Oracle: the rate without the evaluation in between.
TEST(ThroughputMeter, TimeLeftOutDoesNotCount) {
  ThroughputMeter meter(0, 0, 0, 1000);
  meter.add_step(10, 100, 0);
  meter.leave_out(500);
  meter.add_step(520, 100, 0);
  EXPECT_EQ(meter.throughput().tokens_per_second, 10);
}

TEST(ThroughputMeter, NeverNegativeTimeLeft) {
  ThroughputMeter meter(50, 0, 0);
  meter.add_step(1, 100, 0);
  EXPECT_EQ(meter.throughput().seconds_left, 0);
}

// Oracle: the lines, written by hand.
TEST(ProgressLine, OnAKnownDevice) {
  const StepFigures figures{
      .step = 1200,
      .tokens = 413,
      .planned_tokens = 1000,
      .loss = 2.7128,
      .throughput = {.tokens_per_second = 12345, .flops_per_second = 381e12, .seconds_left = 750},
      .peak_flops = 1e15,
      .memory_bytes = 1.2 * 0x1p30};
  EXPECT_EQ(progress_line(figures),
            "step 1200  41.3%  loss 2.713  12.3K tokens/s  38.1% MFU  1.20 GiB  12:30 left");
}

TEST(ProgressLine, OnAnUnknownDeviceWithoutAPlan) {
  const StepFigures figures{.step = 3,
                            .loss = 3.5,
                            .throughput = {.tokens_per_second = 900, .flops_per_second = 143.25e9},
                            .memory_bytes = 512 * 0x1p20};
  EXPECT_EQ(progress_line(figures), "step 3  loss 3.500  900 tokens/s  143.2 GFLOP/s  512.00 MiB");
}

}  // namespace
}  // namespace esmscale::run
