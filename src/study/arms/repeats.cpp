#include "esmscale/study/repeats.h"

#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/fits/repeats.h"
#include "esmscale/study/plan/shapes.h"
#include "esmscale/study/runs/compare.h"
#include "study/arms/finished_arms.h"
#include "study/arms/least_squares.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

constexpr double kOneEpoch = 1.001;              // a run may end inside a batch
constexpr double kLowest = 0.1, kHighest = 1e4;  // R*, epochs; kHighest: as good as fresh
constexpr int kSteps = 3000;

double fresh_tokens(const RepeatedRun& run, double scale) {
  return laws::RepeatLaw{.tokens = scale}.effective_tokens(run.tokens, run.unique_tokens);
}

// Numbers of tokens that runs of fresh data have, to a thousandth.
size_t fresh_horizons(const std::vector<RepeatedRun>& runs) {
  std::set<int64_t> different;
  for (const RepeatedRun& run : runs)
    if (run.epochs() <= kOneEpoch) different.insert(std::lround(1000 * std::log(run.tokens)));
  return different.size();
}

// The loss as a polynomial of the logarithm of fresh tokens, at one R*.
LeastSquares fit_at(const std::vector<RepeatedRun>& runs, double scale, int degree) {
  std::vector<std::vector<double>> columns(size_t(degree) + 1);
  std::vector<double> losses;
  for (const RepeatedRun& run : runs) {
    const double x = std::log(fresh_tokens(run, scale) / runs.front().tokens);
    for (int k = 0; k <= degree; ++k) columns[size_t(k)].push_back(std::pow(x, k));
    losses.push_back(run.loss);
  }
  return least_squares(columns, losses);
}

// The least sum of squares over a grid of R*, and the interval in which the F test accepts R*.
void fit_scale(RepeatWorth& worth) {
  const size_t horizons = fresh_horizons(worth.runs);
  if (horizons < 2) {
    worth.why = text("runs of fresh data have ", horizons == 0 ? "no" : "one",
                     " number of tokens; two are needed to know what a fresh token is worth");
    return;
  }
  const int degree = horizons > 2 ? 2 : 1;
  const int degrees = static_cast<int>(worth.runs.size()) - degree - 2;
  if (degrees < 1) {
    worth.why = text(worth.runs.size(), " finished runs; ", degree + 3, " or more are needed");
    return;
  }
  std::vector<std::pair<double, double>> profile;  // R*, squares
  for (int i = 0; i <= kSteps; ++i) {
    const double scale = kLowest * std::pow(kHighest / kLowest, double(i) / kSteps);
    const LeastSquares fit = fit_at(worth.runs, scale, degree);
    if (!fit.constants.empty()) profile.emplace_back(scale, fit.squares);
  }
  const auto least = std::min_element(profile.begin(), profile.end(),
                                      [](const auto& a, const auto& b) { return a.second < b.second; });
  const double accepted = least->second * (1 + std::pow(student_95(degrees), 2) / degrees);
  worth.scatter = std::sqrt(least->second / degrees);
  worth.scale = least->first;
  for (const auto& [scale, squares] : profile) {
    if (squares > accepted) continue;
    if (std::isnan(worth.low)) worth.low = scale;
    worth.high = scale;
  }
  if (worth.high == profile.back().first) worth.high = INFINITY;
  if (worth.scale == profile.back().first) worth.scale = INFINITY;
}

std::string shown_scale(double scale) {
  return std::isinf(scale) ? "unbounded" : fixed(scale, scale < 10 ? 1 : 0);
}

Json number_or_text(double value) {
  return std::isinf(value) ? Json("unbounded") : number_or_null(value);
}

}  // namespace

double RepeatWorth::worth_at(double epochs) const {
  if (std::isinf(scale)) return 1;
  return fresh_tokens({.tokens = epochs, .unique_tokens = 1}, scale) / epochs;
}

std::vector<RepeatWorth> repeats_of(const Study& study, laws::LossKind loss) {
  std::vector<RepeatWorth> all;
  for (const auto& [recipe, arms] :
       alike_except(study, loss, {"train.seed", "train.max_tokens", "train.epochs", "data.sequences"})) {
    RepeatWorth worth{.model = shape_name(arms.front().run.config.model)};
    for (const FinishedArm& arm : arms)
      if (arm.run.unique_tokens > 0)
        worth.runs.push_back({arm.run.name, arm.tokens(), arm.run.unique_tokens, arm.loss});
    std::stable_sort(worth.runs.begin(), worth.runs.end(), [](const RepeatedRun& a, const RepeatedRun& b) {
      return std::pair(a.epochs(), -a.tokens) < std::pair(b.epochs(), -b.tokens);
    });
    if (worth.runs.size() < 3 || worth.runs.back().epochs() <= kOneEpoch) continue;
    fit_scale(worth);
    all.push_back(std::move(worth));
  }
  return all;
}

std::string verdict_of(const RepeatWorth& worth) {
  if (!worth.why.empty()) return "no R*, because " + worth.why;
  return text("R* = ", shown_scale(worth.scale), " epochs (95%: ", shown_scale(worth.low), " to ",
              shown_scale(worth.high), "); runs scatter by ", fixed(worth.scatter, 4), " nats about it");
}

Json to_json(const std::vector<RepeatWorth>& repeats) {
  Json all = Json::array();
  for (const RepeatWorth& worth : repeats) {
    Json runs = Json::array();
    for (const RepeatedRun& run : worth.runs)
      runs.push_back(
          {{"run", run.name}, {"tokens", run.tokens}, {"epochs", run.epochs()}, {"loss", run.loss}});
    all.push_back({{"model", worth.model},
                   {"R_star", number_or_text(worth.scale)},
                   {"ci95", std::isnan(worth.low) ? Json(nullptr)
                                                  : Json::array({worth.low, number_or_text(worth.high)})},
                   {"scatter", number_or_null(worth.scatter)},
                   {"why", worth.why},
                   {"runs", std::move(runs)}});
  }
  return all;
}

std::string to_text(const std::vector<RepeatWorth>& repeats) {
  std::string out;
  for (const RepeatWorth& worth : repeats) {
    out += text("\nRepeated tokens, ", worth.model, ": ", verdict_of(worth), "\n");
    if (!worth.why.empty()) continue;
    Table table({"run", "tokens", "epochs", "loss (nats)", "a token is worth"});
    for (const RepeatedRun& run : worth.runs)
      table.add({run.name, human_count(run.tokens), fixed(run.epochs(), 2), fixed(run.loss, 4),
                 text(fixed(worth.worth_at(std::max(1.0, run.epochs())), 2), " fresh ones")});
    out += table.str();
  }
  return out;
}

}  // namespace esmscale::study
