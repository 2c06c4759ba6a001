#include "esmscale/core/table.h"

#include "esmscale/core/error.h"

#include <gtest/gtest.h>

namespace esmscale {
namespace {

// Oracle: the table laid out by hand.
TEST(Table, AlignsColumns) {
  Table table({"part", "weights", "FLOPs"});
  table.add({"softmax·V", "–", "1.5e+09"});
  table.add({"ffn", "4915200", "7"});
  EXPECT_EQ(table.str(),
            "part       weights    FLOPs\n"
            "---------------------------\n"
            "softmax·V        –  1.5e+09\n"
            "ffn        4915200        7\n");
}

TEST(Table, LeftColumnsAndNoTrailingSpaces) {
  Table table({"a", "b"}, 2);
  table.add({"long", "x"});
  EXPECT_EQ(table.str(), "a     b\n-------\nlong  x\n");
}

TEST(Table, RefusesARowOfAnotherLength) {
  Table table({"a", "b"});
  EXPECT_THROW(table.add({"only one"}), Error);
}

}  // namespace
}  // namespace esmscale
