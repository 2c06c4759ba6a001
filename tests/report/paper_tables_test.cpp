// Tables for a paper: what CSV and LaTeX need escaped, and the numbers of the fit in full.
#include "esmscale/report/paper_tables.h"

#include "support/synthetic.h"

#include <gmock/gmock.h>

namespace esmscale::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const PaperTable table{
    "odd", "50% of A_1 & B", {"run", "value"}, {{"a,\"b\"_c", "3.14159265358979"}, {"d^2", ""}}};

TEST(PaperTables, CsvQuotesAndKeepsAllDigits) {
  EXPECT_EQ(csv_of(table), "run,value\n\"a,\"\"b\"\"_c\",3.14159265358979\nd^2,\n");
}

TEST(PaperTables, LatexEscapesAndShortens) {
  EXPECT_THAT(latex_of(table),
              AllOf(HasSubstr("\\caption{50\\% of A\\_1 \\& B}"), HasSubstr("\\label{tab:odd}"),
                    HasSubstr("\\linewidth"), HasSubstr("\\begin{tabular}{ll}"),
                    HasSubstr("a,\"b\"\\_c & 3.142 \\\\\n"), HasSubstr("d\\^{}2 &  \\\\\n")));
}

// LaTeX has no pages for every run.
TEST(PaperTables, LatexMayShowFewerRows) {
  PaperTable shorter = table;
  shorter.short_rows = {table.rows[1]};
  EXPECT_EQ(csv_of(shorter), csv_of(table));
  EXPECT_THAT(latex_of(shorter), AllOf(HasSubstr("d\\^{}2"), testing::Not(HasSubstr("3.142"))));
}

// Oracle: the points read again are the points that were written, to the last bit.
TEST(PaperTables, PointsAreReadBackAsTheyWere) {
  laws::PointSet set = laws::with_noise(laws::isoflop_points(laws::known_law, {1e18, 1e19}, 5, 4), 0.01, 1);
  set.points[0].run = "a, \"quoted\" run";
  set.points[1].unique_tokens = set.points[1].tokens / 3;
  set.points[2].seed = 7;
  const laws::PointSet read = laws::parse_points(points_csv_of(set), "points.csv", {});
  ASSERT_EQ(read.points.size(), set.points.size());
  for (size_t i = 0; i < set.points.size(); ++i) {
    const laws::Point &a = set.points[i], &b = read.points[i];
    EXPECT_EQ(a.run, b.run);
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.parameters, b.parameters);
    EXPECT_EQ(a.budget, b.budget);
    EXPECT_EQ(a.seed, b.seed);
    EXPECT_EQ(a.unique_tokens, b.unique_tokens);
  }
}

}  // namespace
}  // namespace esmscale::report
