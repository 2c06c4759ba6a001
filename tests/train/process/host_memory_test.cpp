#include "esmscale/train/process/host_memory.h"

#include "support/sanitizers.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

namespace esmscale::train {
namespace {

int64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word && word != "VmRSS:") {
  }
  int64_t kib = 0;
  status >> kib;
  return kib << 10;
}

// Oracle: what is alive at a time. Steps of four tensors that grow from 4 to 8 MiB, and then of any size
// between: 32 MiB at most. A block serves two thirds of its size and more, so a second set for the smallest
// may stay: three times 32 MiB are asked. Kept by exact size class, of which there are nine, it would be 216
// MiB.
TEST(HostMemory, StepsOfManySizesShareTheirBlocks) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer holds memory of its own";
  install_counting_allocator();
  const int64_t before = resident_bytes();
  for (int64_t step = 0; step < 128; ++step) {
    const int64_t size = (4 << 20) + (4 << 20) * (step < 64 ? step : (step * 29) % 64) / 63;
    std::vector<at::Tensor> alive;
    for (int i = 0; i < 4; ++i) alive.push_back(at::ones({size / 4}));
  }
  EXPECT_LT(resident_bytes() - before, 3 * 32 << 20);
}

// Oracle: arithmetic. A block that is larger than what it is taken for counts as what was asked for.
TEST(HostMemory, CountsWhatIsAskedFor) {
  install_counting_allocator();
  { const at::Tensor large = at::ones({1 << 20}); }
  reset_peak_host_tensor_bytes();
  const int64_t before = peak_host_tensor_bytes();
  const at::Tensor smaller = at::ones({900'000});
  EXPECT_EQ(peak_host_tensor_bytes() - before, 3'600'000);
}

}  // namespace
}  // namespace esmscale::train
