#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/points/points.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

namespace esmscale::laws {
namespace {

const std::vector<std::string> kColumns{"parameters", "tokens", "loss", "flops",
                                        "budget",     "run",    "seed", "unique_tokens"};
constexpr size_t kRequiredColumns = 3;

std::string_view trimmed(std::string_view s) {
  const auto begin = s.find_first_not_of(" \t\r");
  return begin == s.npos ? std::string_view() : s.substr(begin, s.find_last_not_of(" \t\r") - begin + 1);
}

// Cells of one line; a cell may stand in double quotes, which may hold commas and doubled quotes.
std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      cells.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  for (std::string& cell : cells) cell = std::string(trimmed(cell));
  return cells;
}

class PointTable {
 public:
  PointTable(std::string_view where, std::vector<std::string> header)
      : where_(where), header_(std::move(header)) {
    for (size_t i = 0; i < header_.size(); ++i) {
      if (std::find(kColumns.begin(), kColumns.end(), header_[i]) == kColumns.end())
        throw Error(
            {.where = where_,
             .expected = "columns among " + join(kColumns, ", "),
             .found = text("column '", header_[i], "'"),
             .advice = text("leave the column out, or rename it. ", did_you_mean(header_[i], kColumns))});
      if (std::find(header_.begin(), header_.begin() + long(i), header_[i]) != header_.begin() + long(i))
        throw Error({.where = where_,
                     .expected = "each column once",
                     .found = text("two columns '", header_[i], "'")});
    }
    for (size_t i = 0; i < kRequiredColumns; ++i)
      if (!has(kColumns[i]))
        throw Error({.where = where_,
                     .expected = "a header line with the columns parameters, tokens and loss",
                     .found = text("no column '", kColumns[i], "' among: ", join(header_, ", "))});
  }

  bool has(const std::string& column) const {
    return std::find(header_.begin(), header_.end(), column) != header_.end();
  }

  void start_row(size_t line, std::string_view content) {
    line_ = line;
    cells_ = cells_of(content);
    if (cells_.size() != header_.size())
      throw Error({.where = text(where_, ", line ", line_),
                   .expected = text(header_.size(), " cells, as in the header"),
                   .found = text(cells_.size(), " cells")});
  }

  // "" where the column is absent.
  std::string cell(const std::string& column) const {
    const auto place = std::find(header_.begin(), header_.end(), column);
    return place == header_.end() ? std::string() : cells_[size_t(place - header_.begin())];
  }

  // Between bounds that leave room for products and powers of what is within them.
  double positive(const std::string& column) const {
    const std::string value = cell(column);
    double number = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (problem != std::errc() || end != value.data() + value.size() || !(number >= 1e-30 && number <= 1e60))
      throw bad_cell(column, "a finite number above zero, from 1e-30 to 1e60", value);
    return number;
  }

  double positive_or(const std::string& column, double otherwise) const {
    return cell(column).empty() ? otherwise : positive(column);
  }

  int64_t whole_or_zero(const std::string& column) const {
    const std::string value = cell(column);
    int64_t number = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (!value.empty() && (problem != std::errc() || end != value.data() + value.size()))
      throw bad_cell(column, "a whole number", value);
    return number;
  }

  Error bad_cell(const std::string& column, std::string expected, const std::string& found) const {
    return Error({.where = text(where_, ", line ", line_, ", column ", column),
                  .expected = std::move(expected),
                  .found = "'" + found + "'"});
  }

  size_t line() const { return line_; }
  const std::string& where() const { return where_; }

 private:
  std::string where_;
  std::vector<std::string> header_, cells_;
  size_t line_ = 0;
};

Point point_of(const PointTable& row) {
  Point point;
  point.parameters = row.positive("parameters");
  point.tokens = row.positive("tokens");
  point.loss = row.positive("loss");
  point.flops = row.positive_or("flops", 6 * point.parameters * point.tokens);
  point.budget = row.positive_or("budget", 0);
  point.unique_tokens = row.positive_or("unique_tokens", 0);
  point.seed = row.whole_or_zero("seed");
  point.run = row.cell("run");
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
  if (options.flop_count == "hoffmann" && !has_column)
    throw usage_error(
        {.where = set.basis.source,
         .expected = "a column 'flops' for --flop-count hoffmann (a points file knows no shapes)",
         .found = "no such column",
         .advice = "add it (count-flops prints it), or use --flop-count 6nd"});
  const bool column_is_6nd = std::all_of(set.points.begin(), set.points.end(), [](const Point& p) {
    return std::abs(p.flops / (6 * p.parameters * p.tokens) - 1) < 1e-6;
  });
  if (options.flop_count == "6nd" || (options.flop_count.empty() && column_is_6nd)) {
    for (Point& point : set.points) point.flops = 6 * point.parameters * point.tokens;
    set.basis.flop_count = "6nd";
  } else {
    set.basis.flop_count = options.flop_count.empty() ? "column" : options.flop_count;
    set.basis.flop_ratio = ratio_of_column(set.points);
  }
}

}  // namespace

PointSet parse_points(std::string_view csv, std::string_view where, const PointOptions& options) {
  PointSet set;
  set.basis.source = where;
  set.basis.parameter_count = options.parameter_count;
  set.basis.loss = options.loss;

  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (csv.substr(0, kByteOrderMark.size()) == kByteOrderMark) csv.remove_prefix(kByteOrderMark.size());
  std::unique_ptr<PointTable> table;
  std::map<std::pair<std::string, int64_t>, size_t> lines;
  for (size_t line = 1; !csv.empty(); ++line) {
    const size_t end = csv.find('\n');
    const std::string_view content = trimmed(csv.substr(0, end));
    csv.remove_prefix(end == csv.npos ? csv.size() : end + 1);
    if (content.empty()) continue;
    if (!table) {
      table = std::make_unique<PointTable>(where, cells_of(content));
      continue;
    }
    table->start_row(line, content);
    set.points.push_back(point_of(*table));
    const Point& point = set.points.back();
    const auto [first, is_new] = lines.try_emplace({point.run, point.seed}, line);
    if (!is_new)
      throw Error(
          {.where = text(where, ", line ", line),
           .expected = "each run once (a replicate has another seed)",
           .found = text("run '", point.run, "', seed ", point.seed, ", as in line ", first->second)});
  }
  if (!table)
    throw Error({.where = std::string(where),
                 .expected = "a header line and one row a run",
                 .found = "an empty file"});
  if (set.points.size() < 2)
    throw Error({.where = std::string(where),
                 .expected = "at least two points to fit",
                 .found = text(set.points.size())});
  settle_flops(set, table->has("flops"), options);
  drop_highest(set, options.drop_highest);
  return set;
}

PointSet read_points(const std::filesystem::path& file, const PointOptions& options) {
  return parse_points(read_file(file), file.string(), options);
}

}  // namespace esmscale::laws
