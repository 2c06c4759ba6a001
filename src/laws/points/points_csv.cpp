#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/file_kind.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/points/points.h"
#include "laws/points/points_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

namespace esmscale::laws {
namespace {

// ESM-2's perplexities are 6 and more, and no fit has only losses above this.
constexpr double kLeastPerplexity = 4;

Point point_of(const PointTable& row) {
  Point point;
  point.parameters = row.positive("parameters");
  point.tokens = row.positive("tokens");
  point.loss = row.positive("loss");
  point.flops = row.positive_or("flops", 6 * point.parameters * point.tokens);
  point.budget = row.positive_or("budget", 0);
  point.unique_tokens = row.positive_or("unique_tokens", 0);
  point.seed = row.whole_or_zero("seed");
  point.run = row.text_of("run");
  if (point.run.empty()) point.run = text("line ", row.line());
  return point;
}

// The ratio C / 6ND of each size, averaged over its points.
FlopRatio ratio_of_column(const std::vector<Point>& points) {
  std::vector<const Point*> by_size;
  for (const Point& point : points) by_size.push_back(&point);
  std::sort(by_size.begin(), by_size.end(), [](auto* a, auto* b) { return a->parameters < b->parameters; });
  std::vector<FlopRatio::Knot> knots;
  for (size_t i = 0; i < by_size.size();) {
    const size_t first = i;
    double log_ratio = 0;
    for (; i < by_size.size() && same_size(by_size[first]->parameters, by_size[i]->parameters); ++i)
      log_ratio += std::log(by_size[i]->flops / (6 * by_size[i]->parameters * by_size[i]->tokens));
    knots.push_back({by_size[first]->parameters, std::exp(log_ratio / double(i - first))});
  }
  return FlopRatio(std::move(knots));
}

void settle_flops(PointSet& set, bool has_column, const PointOptions& options) {
  if (options.flop_count == FlopCount::hoffmann && !has_column)
    throw usage_error(
        {.where = set.basis.source,
         .expected = "a column 'flops' for --flop-count hoffmann (a points file knows no shapes)",
         .found = "no such column",
         .advice = "add it (count-flops prints it), or use --flop-count 6nd"});
  const bool column_is_6nd = std::all_of(set.points.begin(), set.points.end(), [](const Point& p) {
    return std::abs(p.flops / (6 * p.parameters * p.tokens) - 1) < 1e-6;
  });
  if (options.flop_count == FlopCount::six_n_d || (!options.flop_count && column_is_6nd)) {
    for (Point& point : set.points) point.flops = 6 * point.parameters * point.tokens;
    set.basis.flop_count = FlopCount::six_n_d;
  } else {
    set.basis.flop_count = options.flop_count.value_or(FlopCount::column);
    set.basis.flop_ratio = ratio_of_column(set.points);
  }
}

void refuse_perplexities(const PointSet& set) {
  const auto [low, high] = std::minmax_element(
      set.points.begin(), set.points.end(), [](const Point& a, const Point& b) { return a.loss < b.loss; });
  if (low == set.points.end() || low->loss < kLeastPerplexity) return;
  throw Error({.where = set.basis.source,
               .expected = "losses in nats",
               .found = text(low->loss, " to ", high->loss, ", which look like perplexities"),
               .advice = "write their natural logarithms"});
}

}  // namespace

PointSet parse_points(std::string_view csv, std::string_view where, const PointOptions& options) {
  PointSet set;
  set.basis.source = where;
  set.basis.parameter_count = options.parameter_count;
  set.basis.loss = options.loss;
  set.basis.most_epochs = options.most_epochs;

  const char separator = separator_of(csv);
  const std::vector<CsvRow> rows = parse_csv(csv, where, separator);
  if (rows.empty())
    throw Error({.where = std::string(where),
                 .expected = "a header line and one row a run",
                 .found = "an empty file"});
  PointTable table(where, rows.front().cells, separator);
  if (!table.ignored().empty())
    set.warnings.push_back(text("columns that fit does not read: ", join(table.ignored(), ", ")));
  std::map<std::pair<std::string, int64_t>, size_t> lines;
  for (const CsvRow& row : std::span(rows).subspan(1)) {
    table.start_row(row);
    if (const std::string column = table.missing(); !column.empty()) {
      const std::string run = table.text_of("run");
      set.excluded.push_back({run.empty() ? text("line ", row.line) : run, text("it has no ", column)});
      continue;
    }
    set.points.push_back(point_of(table));
    const Point& point = set.points.back();
    const auto [first, is_new] = lines.try_emplace({point.run, point.seed}, row.line);
    if (!is_new)
      throw Error(
          {.where = text(where, ", line ", row.line),
           .expected = "each run once (a replicate has another seed)",
           .found = text("run '", point.run, "', seed ", point.seed, ", as in line ", first->second)});
  }
  if (set.points.size() < 2)
    throw Error({.where = std::string(where),
                 .expected = "at least two points to fit",
                 .found = text(set.points.size(), set.excluded.empty() ? "" : " and rows without a value: ",
                               set.excluded.empty() ? "" : text(set.excluded.size()))});
  refuse_perplexities(set);
  if (options.parameter_count != ParameterCount::kaplan)
    set.warnings.push_back(text("N is taken as the table has it: --parameter-count ",
                                enum_name(options.parameter_count),
                                " only names it, for a table knows no shapes"));
  settle_flops(set, table.has("flops"), options);
  drop_highest(set, options.drop_highest);
  return set;
}

std::string read_points_text(const std::filesystem::path& file) {
  std::string content = read_file(file);
  if (const auto kind = recognise_file(content))
    throw Error({.where = file.string(),
                 .expected = "a table of points, CSV or TSV",
                 .found = kind->name,
                 .advice = kind->advice});
  return content;
}

PointSet read_points(const std::filesystem::path& file, const PointOptions& options) {
  return parse_points(read_points_text(file), file.string(), options);
}

}  // namespace esmscale::laws
