// Two optimisers remember the same, bit for bit.
#pragma once

#include "esmscale/optim/state.h"

#include <gtest/gtest.h>

namespace esmscale::optim {

inline void expect_same_state(const std::vector<StatePart>& a, const std::vector<StatePart>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].begin, b[i].begin) << a[i].name;
    EXPECT_TRUE(a[i].values.equal(b[i].values)) << a[i].name;
  }
}

}  // namespace esmscale::optim
