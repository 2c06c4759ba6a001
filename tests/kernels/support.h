// What the kernel tests share: numbers to feed, every instruction set in turn, and comparison with a double
// oracle.
#pragma once

#include "esmscale/core/random.h"
#include "esmscale/kernels/cpu/isa.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace esmscale::kernels {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// Normal numbers; another `subject`, other numbers.
inline Floats normals(int64_t count, uint64_t subject, double deviation = 1, double mean = 0) {
  RandomStream random(7, Purpose::test, subject);
  Floats numbers(static_cast<size_t>(count));
  for (float& x : numbers) x = static_cast<float>(mean + deviation * random.normal());
  return numbers;
}

inline Floats zeros(int64_t count) {
  return Floats(static_cast<size_t>(count), 0.0f);
}

// What a kernel must overwrite.
inline Floats garbage(int64_t count) {
  return Floats(static_cast<size_t>(count), std::nanf(""));
}

// |ours − oracle| ≤ tolerance · max(1, largest |oracle|): a bound relative to the size of the whole array,
// since sums that cancel have an error of their terms' size, not of their own.
inline void expect_near_all(const Floats& ours, const Doubles& oracle, double tolerance,
                            const std::string& what) {
  ASSERT_EQ(ours.size(), oracle.size()) << what;
  double size = 1;
  for (double x : oracle) size = std::max(size, std::abs(x));
  for (size_t i = 0; i < ours.size(); ++i)
    ASSERT_LE(std::abs(static_cast<double>(ours[i]) - oracle[i]), tolerance * size)
        << what << " at " << i << ": " << ours[i] << ", oracle " << oracle[i] << ", largest " << size;
}

inline Floats rounded(const Doubles& numbers) {
  return Floats(numbers.begin(), numbers.end());
}
inline Doubles widened(const Floats& numbers) {
  return Doubles(numbers.begin(), numbers.end());
}

// Tests of this fixture run once for each instruction set that the processor has, the scalar reference among
// them.
class EachIsa : public testing::TestWithParam<cpu::Isa> {
 protected:
  void SetUp() override { cpu::select_isa(GetParam()); }
  void TearDown() override { cpu::select_isa(cpu::supported_isas().back()); }
};

#define ESMSCALE_EACH_ISA(Fixture)                                                                     \
  INSTANTIATE_TEST_SUITE_P(Isas, Fixture, testing::ValuesIn(esmscale::kernels::cpu::supported_isas()), \
                           [](const auto& one) { return std::string(name(one.param)); })

}  // namespace esmscale::kernels
