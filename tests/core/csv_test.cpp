#include "esmscale/core/csv.h"

#include "support/error_of.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Csv, QuotesBlanksAndLineEnds) {
  const auto rows = parse_csv(
      "\xEF\xBB\xBF"
      "a, b ,c\r\n\n1,\"x, \"\"y\"\"\nz\",\n,\"\",2",
      "t.csv");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_THAT(rows[0].cells, ElementsAre("a", "b", "c"));
  EXPECT_THAT(rows[1].cells, ElementsAre("1", "x, \"y\"\nz", ""));
  EXPECT_THAT(rows[2].cells, ElementsAre("", "", "2"));
  EXPECT_EQ(rows[1].line, 3u);
  EXPECT_EQ(rows[2].line, 5u) << "a quoted line end is a line of the file";
}

TEST(Csv, CellsOfALine) {
  EXPECT_EQ(separator_of("a,b;c\td"), '\t');
  EXPECT_EQ(separator_of("a,b;c"), ';');
  EXPECT_EQ(separator_of("a,b"), ',');
  EXPECT_EQ(separator_of("a b"), 0);
  EXPECT_EQ(separator_of("\r\n\na,b\nc\td"), ',') << "the first line that is not blank";
  EXPECT_THAT(cells_of(R"( a ,"b,""c""",,d)"
                       "\r",
                       ','),
              ElementsAre("a", "b,\"c\"", "", "d"));
  EXPECT_THAT(cells_of("a,\"b,c", ','), ElementsAre("a", "b,c"));
  EXPECT_THAT(cells_of("a;1,5", ';'), ElementsAre("a", "1,5"));
}

TEST(Csv, OtherSeparators) {
  const auto rows = parse_csv("a;b\n1,5;\"x;\ny\"\n", "t.csv", ';');
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_THAT(rows[1].cells, ElementsAre("1,5", "x;\ny"));
}

// What is written is read back.
TEST(Csv, LinesComeBack) {
  const std::vector<std::string> cells{"a", "b,c", "say \"yes\"", "two\nlines", ""};
  EXPECT_EQ(parse_csv(csv_line(cells), "t.csv").at(0).cells, cells);
  EXPECT_EQ(csv_line(cells), "a,\"b,c\",\"say \"\"yes\"\"\",\"two\nlines\",\n");
}

TEST(Csv, ATableNamesWhatIsWrong) {
  const CsvTable table("mutant,DMS_score\nA1C,2\n", "t.csv");
  EXPECT_EQ(table.at("DMS_score"), 1u);
  EXPECT_EQ(table.place(table.rows()[0], 1), "t.csv, line 2, column DMS_score");
  EXPECT_THAT(error_of([&] { table.at("DMS_scores"); }), AllOf(HasSubstr("t.csv"), HasSubstr("'DMS_score'")));
  EXPECT_THAT(error_of([] { CsvTable("", "t.csv"); }), HasSubstr("empty"));
  EXPECT_THAT(error_of([] { CsvTable("a,a\n", "t.csv"); }), HasSubstr("two columns 'a'"));
  EXPECT_THAT(error_of([] { CsvTable("a,b\n1\n", "t.csv"); }),
              AllOf(HasSubstr("line 2"), HasSubstr("1 cells")));
  EXPECT_THAT(error_of([] { CsvTable("a,b\n\"1,2\n", "t.csv"); }),
              AllOf(HasSubstr("line 2"), HasSubstr("quote")));
}

}  // namespace
}  // namespace esmscale
