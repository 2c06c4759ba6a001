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

// A cell is text of a file: it neither reaches the terminal's controls nor breaks the line.
TEST(Table, ShowsControlCharactersEscaped) {
  Table table({"a\n", "b"}, 2);
  table.add({std::string("\x1b[31m\0", 6), "x\ny"});
  EXPECT_EQ(table.str(),
            "a\\n           b\n"
            "------------------\n"
            "\\x1b[31m\\x00  x\\ny\n");
}

TEST(Table, RefusesARowOfAnotherLength) {
  Table table({"a", "b"});
  EXPECT_THROW(table.add({"only one"}), Error);
}

}  // namespace
}  // namespace esmscale
