#include "esmscale/study/arms/repeats.h"

#include "esmscale/core/quantiles.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/fits/repeats.h"
#include "esmscale/study/plan/shapes.h"
#include "study/arms/finished_arms.h"
#include "study/arms/least_squares.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

constexpr double kDifferent = 0.05;              // of ln D: seeds of one run differ by less
constexpr double kLowest = 0.1, kHighest = 1e4;  // R*, epochs: worth nothing; as good as fresh
constexpr int kSteps = 3000;

double fresh_tokens(const RepeatedRun& run, double scale) {
  return laws::RepeatLaw{.tokens = scale}.effective_tokens(run.tokens, run.unique_tokens);
}

// How many different numbers of tokens runs of fresh data have.
size_t fresh_horizons(const std::vector<RepeatedRun>& runs) {
  std::vector<double> logs;
  for (const RepeatedRun& run : runs)
    if (!run.is_repeated()) logs.push_back(std::log(run.tokens));
  std::sort(logs.begin(), logs.end());
  size_t count = logs.empty() ? 0 : 1;
  for (size_t i = 1; i < logs.size(); ++i) count += logs[i] - logs[i - 1] > kDifferent;
  return count;
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
    worth.why =
        text("it needs runs without repeats at two numbers of tokens or more; there are runs at ", horizons);
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
  if (worth.low == profile.front().first) worth.low = 0;
  if (worth.high == profile.back().first) worth.high = INFINITY;
  if (worth.scale == profile.front().first) worth.scale = 0;
  if (worth.scale == profile.back().first) worth.scale = INFINITY;
}

std::string shown_scale(double scale) {
  if (std::isinf(scale)) return "unbounded";
  return scale <= 0 ? text("below ", kLowest) : fixed(scale, scale < 10 ? 1 : 0);
}

Json number_or_text(double value) {
  return std::isinf(value) ? Json("unbounded") : number_or_null(value);
}

}  // namespace

double RepeatWorth::worth_at(double epochs) const {
  if (std::isinf(scale)) return 1;
  if (scale <= 0) return 1 / epochs;
  return fresh_tokens({.tokens = epochs, .unique_tokens = 1}, scale) / epochs;
}

std::vector<RepeatWorth> repeats_of(const std::vector<FinishedArm>& arms) {
  std::vector<RepeatWorth> all;
  std::vector<RecipeValues> recipes;
  for (const AlikeArms& alike :
       alike_except(arms, {"train.seed", "train.max_tokens", "train.epochs", "data.sequences"})) {
    RepeatWorth worth{.model = shape_name(alike.arms.front()->run.config.model)};
    for (const FinishedArm* arm : alike.arms)
      if (arm->run.unique_tokens > 0)
        worth.runs.push_back({arm->run.name, arm->tokens(), arm->run.unique_tokens, arm->loss});
    std::stable_sort(worth.runs.begin(), worth.runs.end(), [](const RepeatedRun& a, const RepeatedRun& b) {
      return std::pair(a.epochs(), -a.tokens) < std::pair(b.epochs(), -b.tokens);
    });
    if (worth.runs.size() < 3 || !worth.runs.back().is_repeated()) continue;
    fit_scale(worth);
    all.push_back(std::move(worth));
    recipes.push_back(alike.recipe);
  }
  const std::vector<std::string> distinct = distinctions(recipes);
  for (size_t i = 0; i < all.size(); ++i) all[i].recipe = distinct[i];
  return all;
}

std::string verdict_of(const RepeatWorth& worth) {
  if (!worth.why.empty()) return "no R*, because " + worth.why;
  const bool is_number = std::isfinite(worth.scale) && worth.scale > 0;
  return text("R* ", is_number ? "= " : "is ", shown_scale(worth.scale), is_number ? " epochs" : "",
              " (95%: ", shown_scale(worth.low), " to ", shown_scale(worth.high), "); runs scatter by ",
              fixed(worth.scatter, 4), " nats about it");
}

std::vector<std::string> repeats_header() {
  return {"run", "tokens", "epochs", "loss (nats)", "fresh tokens that a token is worth"};
}

std::vector<std::string> repeats_cells(const RepeatWorth& worth, const RepeatedRun& run) {
  return {run.name, human_count(run.tokens), fixed(run.epochs(), 2), fixed(run.loss, 4),
          run.is_repeated() ? fixed(worth.worth_at(run.epochs()), 2) : "1"};
}

Json to_json(const std::vector<RepeatWorth>& repeats) {
  Json all = Json::array();
  for (const RepeatWorth& worth : repeats) {
    Json runs = Json::array();
    for (const RepeatedRun& run : worth.runs)
      runs.push_back(
          {{"run", run.name}, {"tokens", run.tokens}, {"epochs", run.epochs()}, {"loss", run.loss}});
    all.push_back({{"model", worth.model},
                   {"recipe", worth.recipe},
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
    const std::string verdict =
        one_line(text("Repeated tokens, ", worth.model, worth.recipe.empty() ? "" : ", " + worth.recipe, ": ",
                      verdict_of(worth)));
    out += text("\n", verdict, "\n");
    if (!worth.why.empty()) continue;
    Table table(repeats_header());
    for (const RepeatedRun& run : worth.runs) table.add(repeats_cells(worth, run));
    out += table.str();
  }
  return out;
}

}  // namespace esmscale::study
