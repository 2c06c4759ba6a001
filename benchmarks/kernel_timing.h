// What the benchmarks of the CPU kernels share: the clock, threads, and numbers to work on.
#pragma once

#include "esmscale/core/random.h"
#include "esmscale/kernels/cpu/range.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <vector>

#include <ATen/Parallel.h>

namespace esmscale {

using Floats = std::vector<float>;

// By the clock: the machine must be quiet. The best of three medians of five.
inline double median_seconds(const std::function<void()>& action) {
  using Clock = std::chrono::steady_clock;
  action();
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    std::array<double, 5> seconds;
    for (double& one : seconds) {
      const auto start = Clock::now();
      action();
      one = std::chrono::duration<double>(Clock::now() - start).count();
    }
    std::nth_element(seconds.begin(), seconds.begin() + 2, seconds.end());
    best = std::min(best, seconds[2]);
  }
  return best;
}

// Runs action(range) on each of the ranges between neighbouring cuts, one of LibTorch's threads a range.
inline void on_threads(const std::vector<int64_t>& cuts,
                       const std::function<void(kernels::cpu::Range)>& action) {
  at::parallel_for(0, static_cast<int64_t>(cuts.size()) - 1, 1, [&](int64_t begin, int64_t end) {
    action({cuts[static_cast<size_t>(begin)], cuts[static_cast<size_t>(end)]});
  });
}

inline std::vector<int64_t> even_cuts(int64_t total, int threads) {
  std::vector<int64_t> cuts;
  for (int i = 0; i <= threads; ++i) cuts.push_back(total * i / threads);
  return cuts;
}

inline Floats normals(int64_t count) {
  RandomStream random(1, Purpose::test, static_cast<uint64_t>(count));
  Floats numbers(static_cast<size_t>(count));
  for (float& x : numbers) x = static_cast<float>(random.normal());
  return numbers;
}

}  // namespace esmscale
