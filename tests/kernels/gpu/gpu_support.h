// The kernels written for GPUs, run on the host. Oracle: the processor's kernels, which have double-precision
// oracles of their own. In fp32 the two differ by the order of sums of at most 48 terms and by the last bits
// of erf and exp. In bf16 both get the same rounded inputs, and each result is rounded once more to 8 bits.
#pragma once

#include "esmscale/kernels/cpu/rows.h"
#include "esmscale/kernels/gpu/gpu.h"
#include "kernels/support.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace esmscale::kernels::gpu {

constexpr int64_t kRows = 37, kWidth = 48;  // two blocks of rows, the last one short

template <class T>
constexpr double kTolerance = 3e-6;
template <>
constexpr double kTolerance<BFloat16> = 1.0 / 256;

template <class T>
class DeviceTest : public testing::Test {
 protected:
  using Array = std::vector<T>;

  static Array rounded_all(const Floats& numbers) {
    Array result;
    for (float x : numbers) result.push_back(rounded<T>(x));
    return result;
  }
  static Floats floats(const Array& numbers) {
    Floats result;
    for (T x : numbers) result.push_back(to_float(x));
    return result;
  }
  // Each case with teams of one, of a few, and of more than a row has work for.
  static std::vector<std::pair<bool, Place>> each_place(std::initializer_list<bool> cases) {
    std::vector<std::pair<bool, Place>> all;
    for (const bool one : cases)
      for (const int64_t lanes : {1, 5, 13}) all.emplace_back(one, Place{.lanes = lanes});
    return all;
  }
  // Normal numbers that T holds exactly.
  static Array values(int64_t count, uint64_t subject) { return rounded_all(normals(count, subject)); }
  static Array unwritten(int64_t count) { return rounded_all(garbage(count)); }

  static void expect_same(const Array& ours, const Floats& oracle, const std::string& what) {
    expect_near_all(floats(ours), widened(oracle), kTolerance<T>, what);
  }
  // Sums over rows are fp32 sums of fp32 terms, which in the backward pass of bf16 were not rounded yet.
  static void expect_same_sums(const Floats& ours, const Floats& oracle, const std::string& what) {
    expect_near_all(ours, widened(oracle), kTolerance<T>, what);
  }
  // partials [blocks, width]
  static Floats summed(const Floats& partials, int64_t width) {
    Floats total = zeros(width);
    cpu::sum_partials(partials.data(), static_cast<int64_t>(partials.size()) / width, width, total.data(),
                      {0, width});
    return total;
  }
};

using Types = testing::Types<float, BFloat16>;
class TypeNames {
 public:
  template <class T>
  static std::string GetName(int) {
    return sizeof(T) == 4 ? "fp32" : "bf16";
  }
};

}  // namespace esmscale::kernels::gpu
