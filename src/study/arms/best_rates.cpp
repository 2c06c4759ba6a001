#include "esmscale/study/arms/best_rates.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/quantiles.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/shapes.h"
#include "study/arms/finished_arms.h"
#include "study/arms/least_squares.h"
#include "study/arms/rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

constexpr double kDifferent = 0.05;  // in a logarithm: smaller changes of N, B or C are rounding

using Arms = std::vector<const FinishedArm*>;

// Rates that move together; for Adam, all.
std::string ratio_of(const config::OptimizerConfig& optimizer) {
  if (!config::has_matrix_updates(optimizer.name)) return "";
  return text("matrix_lr = ", rounded_ratio(optimizer.matrix_lr, optimizer.lr), "·lr");
}

std::string matrix_rate_of(const config::OptimizerConfig& optimizer) {
  return text("matrix_lr = ", optimizer.matrix_lr);
}

size_t rates_in(const Arms& arms) {
  std::set<double> rates;
  for (const FinishedArm* arm : arms) rates.insert(arm->run.config.optimizer.lr);
  return rates.size();
}

// Runs of one recipe whose rates can be compared: those with three rates or more whose matrices' rate moves
// along, and of the others those whose matrices' rate stays.
std::map<std::string, Arms> comparable(const Arms& arms) {
  std::map<std::string, Arms> moving, staying;
  for (const FinishedArm* arm : arms) moving[ratio_of(arm->run.config.optimizer)].push_back(arm);
  for (const auto& [ratio, of_it] : moving)
    for (const FinishedArm* arm : of_it)
      if (rates_in(of_it) < 3) staying[matrix_rate_of(arm->run.config.optimizer)].push_back(arm);
  moving.merge(staying);
  std::erase_if(moving, [](const auto& group) { return rates_in(group.second) < 3; });
  return moving;
}

std::vector<TriedRate> tried_rates(const Arms& arms) {
  std::map<double, TriedRate> tried;
  for (const FinishedArm* arm : arms) {
    TriedRate& rate = tried[arm->run.config.optimizer.lr];
    rate.rate = arm->run.config.optimizer.lr;
    rate.loss += (arm->loss - rate.loss) / ++rate.seeds;
  }
  std::vector<TriedRate> ascending;
  for (const auto& [rate, of_seeds] : tried) ascending.push_back(of_seeds);
  return ascending;
}

// Pools the noise of runs that differ in the seed alone.
void pool_noise(const std::vector<FinishedArm>& finished, RateLaw& law) {
  double squares = 0;
  for (const AlikeArms& alike : alike_except(finished, {"train.seed"})) {
    double mean = 0;
    for (const FinishedArm* arm : alike.arms) mean += arm->loss / double(alike.arms.size());
    for (const FinishedArm* arm : alike.arms) squares += std::pow(arm->loss - mean, 2);
    law.degrees += static_cast<int>(alike.arms.size()) - 1;
  }
  if (law.degrees > 0) law.sigma = std::sqrt(squares / law.degrees);
}

struct Vertex {
  double log_rate, curvature;
};

// The vertex of the parabola through three points (ln rate, loss).
Vertex vertex_of(const TriedRate* three, const double (&loss)[3]) {
  const double x0 = std::log(three[0].rate), x1 = std::log(three[1].rate), x2 = std::log(three[2].rate);
  const double left = (loss[1] - loss[0]) / (x1 - x0), right = (loss[2] - loss[1]) / (x2 - x1);
  const double curvature = (right - left) / (x2 - x0);
  const double at = 0.5 * (x0 + x1) - left / (2 * curvature);
  return {at, curvature};
}

// The derivatives by each loss, by differences that are small against the losses' own.
double error_of_vertex(const TriedRate* three, const double (&loss)[3], double sigma) {
  const double step = 1e-4 * std::max(loss[0] - loss[1], loss[2] - loss[1]);
  double variance = 0;
  for (int i = 0; i < 3; ++i) {
    double moved[3] = {loss[0], loss[1], loss[2]};
    moved[i] += step;
    const double slope = (vertex_of(three, moved).log_rate - vertex_of(three, loss).log_rate) / step;
    variance += std::pow(slope * sigma, 2) / three[i].seeds;
  }
  return std::sqrt(variance);
}

void find_best(BestRate& group, double sigma) {
  const auto lowest =
      std::min_element(group.tried.begin(), group.tried.end(),
                       [](const TriedRate& a, const TriedRate& b) { return a.loss < b.loss; });
  if (lowest == group.tried.begin() || lowest == group.tried.end() - 1) {
    group.why = text("the ", lowest == group.tried.begin() ? "lowest" : "highest", " rate tried is the best");
    return;
  }
  const TriedRate* three = &*(lowest - 1);
  const double loss[3] = {three[0].loss, three[1].loss, three[2].loss};
  const Vertex vertex = vertex_of(three, loss);
  group.rate = std::exp(vertex.log_rate);
  group.doubled = vertex.curvature * std::pow(std::log(2), 2);
  if (sigma > 0) group.log_error = error_of_vertex(three, loss, sigma);
}

BestRate group_of(const Arms& arms, const std::string& matrices) {
  const FinishedRun& run = arms.front()->run;
  return {.model = shape_name(run.config.model),
          .matrices = matrices,
          .parameters = count_as(run.config.model, laws::ParameterCount::kaplan),
          .batch_tokens = double(run.config.train.batch_tokens),
          .tokens = arms.front()->tokens(),
          .flops = number_in(run.last, "flops"),
          .tried = tried_rates(arms)};
}

using Kind = std::pair<std::string, std::string>;

Kind kind_of(const BestRate& group) {
  return {group.recipe, group.matrices};
}

Kind commonest_kind(const std::vector<BestRate>& groups) {
  std::map<Kind, int> count;
  for (const BestRate& group : groups) ++count[kind_of(group)];
  return std::max_element(count.begin(), count.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// ln(rate) on the logarithms of those of N, B and C that vary.
void fit_law(RateLaw& law) {
  std::vector<const BestRate*> used;
  for (const BestRate& group : law.groups)
    if (group.why.empty() && kind_of(group) == commonest_kind(law.groups)) used.push_back(&group);
  std::vector<std::vector<double>> columns{std::vector<double>(used.size(), 1.0)};
  std::vector<double> rates;
  for (const BestRate* group : used) rates.push_back(std::log(group->rate));
  const std::pair<const char*, double BestRate::*> predictors[] = {
      {"N", &BestRate::parameters}, {"B", &BestRate::batch_tokens}, {"C", &BestRate::flops}};
  std::vector<std::string> names;
  for (const auto& [name, member] : predictors) {
    std::vector<double> column;
    for (const BestRate* group : used) column.push_back(std::log(group->*member));
    if (column.empty()) break;
    const auto [low, high] = std::minmax_element(column.begin(), column.end());
    if (*high - *low < kDifferent) continue;
    names.emplace_back(name);
    columns.push_back(std::move(column));
  }
  const LeastSquares fit = least_squares(columns, rates);
  if (names.empty()) {
    law.why = used.empty() ? "no group has a best rate" : "N, B and C do not vary among the best rates";
    return;
  }
  if (fit.constants.empty() || fit.degrees < 1) {
    law.why = text("it needs ", names.size() + 2, " best rates or more in which ", join(names, " and "),
                   " vary independently; there are ", used.size());
    return;
  }
  law.coefficient = std::exp(fit.constants[0]);
  for (size_t k = 0; k < names.size(); ++k) {
    const double half = student_95(fit.degrees) * fit.scatter() * fit.unit_errors[k + 1];
    law.exponents.push_back(
        {names[k], fit.constants[k + 1], fit.constants[k + 1] - half, fit.constants[k + 1] + half});
  }
}

}  // namespace

RateLaw rates_of(const std::vector<FinishedArm>& finished) {
  RateLaw law;
  pool_noise(finished, law);
  std::vector<RecipeValues> recipes;
  for (const AlikeArms& alike : alike_except(finished, {"train.seed", "optimizer.lr", "optimizer.matrix_lr"}))
    for (const auto& [matrices, arms] : comparable(alike.arms)) {
      law.groups.push_back(group_of(arms, matrices));
      recipes.push_back(alike.recipe);
    }
  const std::vector<std::string> distinct = distinctions(recipes);
  for (size_t i = 0; i < law.groups.size(); ++i) law.groups[i].recipe = distinct[i];
  for (BestRate& group : law.groups) find_best(group, law.sigma);
  std::stable_sort(law.groups.begin(), law.groups.end(), [](const BestRate& a, const BestRate& b) {
    return std::tuple(a.flops, a.parameters, a.batch_tokens) <
           std::tuple(b.flops, b.parameters, b.batch_tokens);
  });
  if (!law.groups.empty()) fit_law(law);
  return law;
}

std::string verdict_of(const RateLaw& law) {
  if (!law.why.empty()) return "no law: " + law.why;
  std::string out = text("rate = ", scientific(law.coefficient, 2));
  for (const RateLaw::Exponent& e : law.exponents)
    out +=
        text(" · ", e.of, "^", fixed(e.value, 2), " (95%: ", fixed(e.low, 2), " to ", fixed(e.high, 2), ")");
  return out;
}

Json to_json(const RateLaw& law) {
  Json groups = Json::array(), exponents = Json::object();
  for (const BestRate& group : law.groups) {
    Json tried = Json::array();
    for (const TriedRate& t : group.tried)
      tried.push_back({{"rate", t.rate}, {"loss", t.loss}, {"seeds", t.seeds}});
    groups.push_back({{"model", group.model},
                      {"parameters", group.parameters},
                      {"batch_tokens", group.batch_tokens},
                      {"tokens", group.tokens},
                      {"flops", group.flops},
                      {"recipe", group.recipe},
                      {"matrices", group.matrices},
                      {"rate", number_or_null(group.rate)},
                      {"log_error", number_or_null(group.log_error)},
                      {"loss_when_doubled", number_or_null(group.doubled)},
                      {"why", group.why},
                      {"tried", std::move(tried)}});
  }
  for (const RateLaw::Exponent& e : law.exponents)
    exponents[e.of] = {{"value", e.value}, {"ci95", {e.low, e.high}}};
  return {{"groups", std::move(groups)},
          {"sigma", number_or_null(law.sigma)},
          {"sigma_degrees", law.degrees},
          {"exponents", std::move(exponents)},
          {"coefficient", number_or_null(law.coefficient)},
          {"why", law.why}};
}

double interval_factor(const BestRate& group, const RateLaw& law) {
  if (std::isnan(group.log_error)) return NAN;
  return std::exp(student_95(law.degrees) * group.log_error);
}

std::vector<std::string> rates_header() {
  return {"model", "N", "B", "D", "C", "rates tried", "best rate", "95%", "nats added at half or twice"};
}

std::vector<std::string> rates_cells(const BestRate& group, const RateLaw& law) {
  const double factor = interval_factor(group, law);
  std::string name = group.model;
  for (const std::string& part : {group.recipe, group.matrices})
    if (!part.empty()) name += ", " + part;
  return {name,
          human_count(group.parameters),
          human_count(group.batch_tokens),
          human_count(group.tokens),
          scientific(group.flops, 1),
          text(scientific(group.tried.front().rate, 1), " to ", scientific(group.tried.back().rate, 1)),
          group.why.empty() ? scientific(group.rate, 1) : group.why,
          std::isnan(factor)
              ? "unknown"
              : text(scientific(group.rate / factor, 1), " to ", scientific(group.rate * factor, 1)),
          std::isnan(group.doubled) ? "unknown" : fixed(group.doubled, 4)};
}

std::string to_text(const RateLaw& law) {
  if (law.groups.empty()) return {};
  Table table(rates_header());
  for (const BestRate& group : law.groups) table.add(rates_cells(group, law));
  return text("\nLearning rates, of runs that differ in nothing else:\n", table.str(), verdict_of(law), "\n");
}

}  // namespace esmscale::study
