#include "laws/points/points_table.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace esmscale::laws {
namespace {

const std::vector<std::string> kColumns{"parameters", "tokens", "loss", "flops",
                                        "budget",     "run",    "seed", "unique_tokens"};
constexpr size_t kRequiredColumns = 3;
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOtherNames{
    {{"n", "parameters"}, {"params", "parameters"}, {"d", "tokens"}, {"l", "loss"}, {"c", "flops"}}};

std::string lower_case(std::string_view s) {
  std::string lower(s);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

// What pandas and R write for no value.
bool is_missing(const std::string& cell) {
  static const std::vector<std::string> kMissing{"", "nan", "na", "n/a", "null", "none"};
  return std::find(kMissing.begin(), kMissing.end(), lower_case(cell)) != kMissing.end();
}

bool is_index(const std::string& name) {
  return name.empty() || name.starts_with("Unnamed: ");
}

void refuse_curves(const std::string& where, const std::vector<std::string>& header) {
  const auto refuse = [&](const char* program) {
    throw Error({.where = where,
                 .expected = "one row for each finished run",
                 .found = text("the curve of a run that ", program, " exported"),
                 .advice = "give fit the run folders, or a table with the columns parameters, tokens, loss"});
  };
  if (header == std::vector<std::string>{"Wall time", "Step", "Value"}) refuse("TensorBoard");
  if (std::any_of(header.begin(), header.end(), [](const std::string& n) { return n.ends_with("__MIN"); }))
    refuse("Weights & Biases");
}

// Losses in another unit: perplexities, bits per residue or token.
void refuse_other_losses(const std::string& where, const std::string& column) {
  const std::string name = lower_case(column);
  const bool is_perplexity = name == "ppl" || name.find("perplexity") != name.npos;
  if (!is_perplexity && name != "bpr" && name != "bpt" && !name.starts_with("bits_per_")) return;
  throw Error({.where = where,
               .expected = "losses in nats",
               .found = text("the column '", column, "'", is_perplexity ? "" : ", which is in bits"),
               .advice = is_perplexity ? "write its natural logarithm in a column 'loss'"
                                       : "write it times ln 2 = 0.693147 in a column 'loss'"});
}

}  // namespace

PointTable::PointTable(std::string_view where, const std::vector<std::string>& header, char separator)
    : where_(where), separator_(separator) {
  refuse_curves(where_, header);
  for (const std::string& name : header) read_column(name);
  for (size_t i = 0; i < kRequiredColumns; ++i)
    if (!has(kColumns[i])) {
      for (const std::string& name : ignored_) refuse_other_losses(where_, name);
      throw Error({.where = where_,
                   .expected = "a header line with the columns parameters, tokens and loss",
                   .found = text("no column '", kColumns[i], "' among: ", join(header, ", "))});
    }
}

void PointTable::read_column(const std::string& given) {
  std::string name = lower_case(given);
  for (const auto& [other, column] : kOtherNames)
    if (name == other) name = column;
  if (std::find(kColumns.begin(), kColumns.end(), name) == kColumns.end()) {
    if (const std::string hint = did_you_mean(given, kColumns); !hint.empty() && !is_index(given))
      throw Error({.where = where_,
                   .expected = "columns among " + join(kColumns, ", "),
                   .found = text("column '", given, "'"),
                   .advice = "rename it, or leave it out; " + hint});
    if (!is_index(given)) ignored_.push_back(given);
    name.clear();
  }
  if (!name.empty() && has(name))
    throw Error({.where = where_, .expected = "each column once", .found = text("two columns '", name, "'")});
  columns_.push_back(std::move(name));
}

bool PointTable::has(const std::string& column) const {
  return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
}

void PointTable::start_row(const CsvRow& row) {
  line_ = row.line;
  cells_ = row.cells;
  if (cells_.size() != columns_.size())
    throw Error({.where = text(where_, ", line ", line_),
                 .expected = text(columns_.size(), " cells, as in the header"),
                 .found = text(cells_.size(), " cells")});
}

std::string PointTable::missing() const {
  for (size_t i = 0; i < kRequiredColumns; ++i)
    if (text_of(kColumns[i]).empty()) return kColumns[i];
  return {};
}

std::string PointTable::text_of(const std::string& column) const {
  const auto place = std::find(columns_.begin(), columns_.end(), column);
  if (place == columns_.end()) return {};
  const std::string& cell = cells_[size_t(place - columns_.begin())];
  return is_missing(cell) ? std::string() : cell;
}

// Where commas do not separate cells, one is a decimal point.
bool PointTable::parse(std::string cell, double& number) const {
  if (separator_ != ',' && std::count(cell.begin(), cell.end(), ',') == 1 && cell.find('.') == cell.npos)
    std::replace(cell.begin(), cell.end(), ',', '.');
  const auto [end, problem] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  return problem == std::errc() && end == cell.data() + cell.size();
}

double PointTable::positive(const std::string& column) const {
  double number = 0;
  if (!parse(text_of(column), number) || !(number >= 1e-30 && number <= 1e60))
    throw bad_cell(column, "a finite number above zero, from 1e-30 to 1e60");
  return number;
}

double PointTable::positive_or(const std::string& column, double otherwise) const {
  return text_of(column).empty() ? otherwise : positive(column);
}

int64_t PointTable::whole_or_zero(const std::string& column) const {
  const std::string value = text_of(column);
  if (value.empty()) return 0;
  int64_t whole = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), whole);
  if (problem == std::errc() && end == value.data() + value.size()) return whole;
  double number = 0;
  constexpr double kExact = 0x1p53;
  if (!parse(value, number) || std::abs(number) > kExact || number != std::floor(number))
    throw bad_cell(column, "a whole number");
  return static_cast<int64_t>(number);
}

Error PointTable::bad_cell(const std::string& column, std::string expected) const {
  return Error({.where = text(where_, ", line ", line_, ", column ", column),
                .expected = std::move(expected),
                .found = text("'", text_of(column), "'")});
}

}  // namespace esmscale::laws
