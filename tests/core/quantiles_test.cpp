#include "esmscale/core/quantiles.h"

#include <cmath>

#include <gtest/gtest.h>

namespace esmscale {
namespace {

// Oracle: tables of the t distribution, two-sided 5%.
TEST(Quantiles, StudentsT) {
  for (const auto& [degrees, t] : {std::pair{1.0, 12.706},
                                   {2, 4.303},
                                   {2.9, 4.303},
                                   {6, 2.447},
                                   {7, 2.3646},
                                   {10, 2.228},
                                   {30, 2.042},
                                   {1000, 1.962}})
    EXPECT_NEAR(student_95(degrees), t, 0.001) << degrees;
  for (const double none : {0.0, 0.5, double(NAN)}) EXPECT_TRUE(std::isinf(student_95(none))) << none;
}

}  // namespace
}  // namespace esmscale
