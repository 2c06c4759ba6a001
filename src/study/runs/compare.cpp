#include "esmscale/study/runs/compare.h"

#include "esmscale/core/error.h"
#include "esmscale/core/quantiles.h"
#include "esmscale/core/text.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

namespace esmscale::study {
namespace {

constexpr double kNormal80 = 0.841621;  // quantile at 0.8

double final_holdout_loss(const RunView& run) {
  const double loss = newest_metric(run.lines, "eval/loss");
  if (std::isnan(loss))
    throw Error({.where = run.path.string(),
                 .expected = "a run with a holdout loss",
                 .found = run.state == ViewState::damaged ? run.stopped_by
                                                          : text("none, the run is ", enum_name(run.state)),
                 .advice = "give its training a --holdout, or wait for its first evaluation"});
  return loss;
}

std::string newest_text(const RunView& run, const char* key) {
  for (auto line = run.lines.rbegin(); line != run.lines.rend(); ++line)
    if (const auto value = line->find(key); value != line->end())
      return value->is_string() ? value->get<std::string>() : esmscale::to_text(*value);
  return {};
}

// Losses on other holdouts or other masks are other quantities.
void require_comparable(const Arm& a, const Arm& b) {
  for (const auto& [key, what] : {std::pair{"eval/holdout_hash", "holdout"},
                                  {"eval/mlm_probability", "masking rate of the evaluation"}}) {
    std::map<std::string, std::string> runs;  // by value: one that has it
    for (const Arm* arm : {&a, &b})
      for (const RunView& run : arm->runs) runs.try_emplace(newest_text(run, key), run.path.string());
    if (runs.size() < 2) continue;
    std::vector<std::string> found;
    for (const auto& [value, run] : runs)
      found.push_back(text(value.empty() ? "none" : value, " (", run, ")"));
    throw Error({.where = "the runs to compare",
                 .expected = text("one ", what, " for all"),
                 .found = join(found, ", "),
                 .advice = "score both with esmscale eval --checkpoint A --checkpoint B --holdout DIR"});
  }
}

struct Spread {
  double mean = 0, squares = 0;  // squares: Σ (x − mean)²
  int64_t count = 0;
};

Spread spread_of(const Arm& arm) {
  Spread spread{.count = int64_t(arm.runs.size())};
  for (const RunView& run : arm.runs) spread.mean += final_holdout_loss(run) / double(spread.count);
  for (const RunView& run : arm.runs) spread.squares += std::pow(final_holdout_loss(run) - spread.mean, 2);
  return spread;
}

double standard_error(const RunView& run) {
  return newest_metric(run.lines, "eval/standard_error");
}

void set_interval(Difference& difference, double factor) {
  difference.low = difference.loss - factor * difference.error;
  difference.high = difference.loss + factor * difference.error;
}

Difference difference_of(const Arm& a, const Arm& b, const std::optional<PairedDifference>& paired,
                         double& between_seeds) {
  const Spread one = spread_of(a), other = spread_of(b);
  Difference difference{.loss = one.mean - other.mean, .seeds = std::min(one.count, other.count)};
  const int64_t degrees = one.count + other.count - 2;
  if (degrees > 0) {
    between_seeds = std::sqrt((one.squares + other.squares) / double(degrees));
    difference.error = between_seeds * std::sqrt(1.0 / double(one.count) + 1.0 / double(other.count));
    difference.from = ErrorSource::seeds;
    set_interval(difference, student_95(double(degrees)));
  } else if (paired) {
    difference.loss = paired->loss;
    difference.error = paired->error;
    difference.from = ErrorSource::paired;
    set_interval(difference, kNormal95);
  } else {
    difference.error = std::hypot(standard_error(a.runs.front()), standard_error(b.runs.front()));
    difference.from = ErrorSource::unpaired;
    set_interval(difference, kNormal95);
  }
  return difference;
}

std::vector<Differing> differing_facts(const Arm& a, const Arm& b) {
  std::vector<std::string> order;
  std::map<std::string, std::array<std::set<std::string>, 2>> values;
  for (int side = 0; side < 2; ++side)
    for (const RunView& run : (side == 0 ? a : b).runs)
      for (const auto& [key, value] : facts_of(run)) {
        if (!values.contains(key)) order.push_back(key);
        values[key][size_t(side)].insert(value);
      }
  const auto listed = [](const std::set<std::string>& all) {
    return join(std::vector<std::string>(all.begin(), all.end()), ", ");
  };
  std::vector<Differing> differs;
  for (const std::string& key : order)
    if (const auto& [in_a, in_b] = values[key]; in_a != in_b)
      differs.push_back({key, listed(in_a), listed(in_b)});
  return differs;
}

// Mean holdout loss by tokens, where every run of the arm was evaluated.
std::map<double, double> curve_of(const Arm& arm) {
  std::map<double, std::pair<double, size_t>> sums;
  for (const RunView& run : arm.runs) {
    std::map<double, double> own;
    for (const Json& line : run.lines)
      if (const double loss = metric(line, "eval/loss"); !std::isnan(loss))
        own[metric(line, "tokens")] = loss;
    for (const auto& [tokens, loss] : own) {
      sums[tokens].first += loss;
      ++sums[tokens].second;
    }
  }
  std::map<double, double> means;
  for (const auto& [tokens, sum] : sums)
    if (sum.second == arm.runs.size()) means[tokens] = sum.first / double(sum.second);
  return means;
}

std::vector<CurvePoint> common_curve(const Arm& a, const Arm& b) {
  const std::map<double, double> of_b = curve_of(b);
  std::vector<CurvePoint> curve;
  for (const auto& [tokens, loss] : curve_of(a))
    if (const auto other = of_b.find(tokens); other != of_b.end())
      curve.push_back({tokens, loss, other->second});
  return curve;
}

void warn_of_ends(const Arm& a, const Arm& b, std::vector<std::string>& warnings) {
  double low = INFINITY, high = 0;
  for (const Arm* arm : {&a, &b})
    for (const RunView& run : arm->runs) {
      low = std::min(low, run.tokens);
      high = std::max(high, run.tokens);
      if (!run.is_finished())
        warnings.push_back(text(run.path.string(), " is ", enum_name(run.state), ", not finished"));
    }
  if (high > 1.001 * low)
    warnings.push_back(text("the runs were trained for ", human_count(low), " to ", human_count(high),
                            " tokens: the difference is not that of the settings alone"));
}

// Rounding is part of the difference, and not of its error.
void warn_of_precisions(const Arm& a, const Arm& b, std::vector<std::string>& warnings) {
  std::set<std::string> precisions;
  for (const Arm* arm : {&a, &b})
    for (const RunView& run : arm->runs)
      if (const std::string precision = newest_text(run, "eval/precision"); !precision.empty())
        precisions.insert(precision);
  if (precisions.size() > 1)
    warnings.push_back(text("evaluated in several precisions: ",
                            join(std::vector<std::string>(precisions.begin(), precisions.end()), ", ")));
}

int64_t seeds_for_notable_difference(double between_seeds) {
  if (!(between_seeds > 0)) return 0;
  const double ratio = (kNormal95 + kNormal80) * between_seeds / kNotableDifference;
  return std::max<int64_t>(2, int64_t(std::ceil(2 * ratio * ratio)));
}

}  // namespace

Comparison compare(const Arm& a, const Arm& b, const std::optional<PairedDifference>& paired) {
  Comparison comparison{.name_a = a.name, .name_b = b.name};
  comparison.difference = difference_of(a, b, paired, comparison.between_seeds);
  require_comparable(a, b);
  comparison.differs = differing_facts(a, b);
  comparison.seeds_needed = seeds_for_notable_difference(comparison.between_seeds);
  comparison.curve = common_curve(a, b);
  warn_of_ends(a, b, comparison.warnings);
  warn_of_precisions(a, b, comparison.warnings);
  return comparison;
}

}  // namespace esmscale::study
