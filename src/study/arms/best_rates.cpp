#include "esmscale/study/best_rates.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/points/counts.h"
#include "esmscale/study/plan/shapes.h"
#include "esmscale/study/runs/compare.h"
#include "study/arms/finished_arms.h"
#include "study/arms/least_squares.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

constexpr double kDifferent = 0.05;  // in a logarithm: smaller changes of N, B or C are rounding

double ratio_of(const config::OptimizerConfig& optimizer) {
  if (!config::has_matrix_updates(optimizer.name)) return 0;
  return std::round(1e4 * optimizer.matrix_lr / optimizer.lr) / 1e4;
}

// Losses by rate; `squares` and `degrees` gather what seeds of one rate scatter.
std::vector<TriedRate> tried_rates(const std::vector<const FinishedArm*>& arms, double& squares,
                                   int& degrees) {
  std::map<double, std::vector<double>> losses;
  for (const FinishedArm* arm : arms) losses[arm->run.config.optimizer.lr].push_back(arm->loss);
  std::vector<TriedRate> tried;
  for (const auto& [rate, of_seeds] : losses) {
    double mean = 0;
    for (const double loss : of_seeds) mean += loss / double(of_seeds.size());
    for (const double loss : of_seeds) squares += std::pow(loss - mean, 2);
    degrees += static_cast<int>(of_seeds.size()) - 1;
    tried.push_back({rate, mean, static_cast<int>(of_seeds.size())});
  }
  return tried;
}

struct Vertex {
  double log_rate, loss, curvature;
};

// Of the parabola through three points (ln rate, loss).
Vertex vertex_of(const TriedRate* three, const double (&loss)[3]) {
  const double x0 = std::log(three[0].rate), x1 = std::log(three[1].rate), x2 = std::log(three[2].rate);
  const double left = (loss[1] - loss[0]) / (x1 - x0), right = (loss[2] - loss[1]) / (x2 - x1);
  const double curvature = (right - left) / (x2 - x0);
  const double at = 0.5 * (x0 + x1) - left / (2 * curvature);
  return {at, loss[1] - curvature * std::pow(x1 - at, 2), curvature};
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
  group.loss = vertex.loss;
  group.doubled = vertex.curvature * std::pow(std::log(2), 2);
  if (sigma > 0) group.log_error = error_of_vertex(three, loss, sigma);
}

BestRate group_of(const std::vector<const FinishedArm*>& arms, std::vector<TriedRate> tried) {
  const FinishedRun& run = arms.front()->run;
  return {.model = shape_name(run.config.model),
          .parameters = count_as(run.config.model, laws::ParameterCount::kaplan),
          .batch_tokens = double(run.config.train.batch_tokens),
          .tokens = arms.front()->tokens(),
          .flops = number(run.last, "flops"),
          .matrix_ratio = ratio_of(run.config.optimizer),
          .tried = std::move(tried)};
}

double commonest_ratio(const std::vector<BestRate>& groups) {
  std::map<double, int> count;
  for (const BestRate& group : groups) ++count[group.matrix_ratio];
  return std::max_element(count.begin(), count.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// ln(rate) on the logarithms of those of N, B and C that vary.
void fit_law(RateLaw& law) {
  std::vector<const BestRate*> used;
  for (const BestRate& group : law.groups)
    if (group.why.empty() && group.matrix_ratio == commonest_ratio(law.groups)) used.push_back(&group);
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
  if (names.empty() || fit.constants.empty() || fit.degrees < 1) {
    law.why = text("a law of the best rate by ", names.empty() ? "N, B or C" : join(names, ", "), " wants ",
                   names.size() + 2, " groups or more with a best rate inside those tried, and differences ",
                   "among them; there are ", used.size());
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

RateLaw rates_of(const Study& study, laws::LossKind loss) {
  RateLaw law;
  double squares = 0;
  int degrees = 0;
  for (const auto& [recipe, arms] :
       alike_except(study, loss, {"train.seed", "optimizer.lr", "optimizer.matrix_lr"})) {
    std::map<double, std::vector<const FinishedArm*>> by_ratio;
    for (const FinishedArm& arm : arms) by_ratio[ratio_of(arm.run.config.optimizer)].push_back(&arm);
    for (const auto& [ratio, alike] : by_ratio)
      if (std::vector<TriedRate> tried = tried_rates(alike, squares, degrees); tried.size() >= 3)
        law.groups.push_back(group_of(alike, std::move(tried)));
  }
  if (degrees > 0) law.sigma = std::sqrt(squares / degrees);
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
                      {"matrix_ratio", group.matrix_ratio},
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
          {"exponents", std::move(exponents)},
          {"coefficient", number_or_null(law.coefficient)},
          {"why", law.why}};
}

std::string to_text(const RateLaw& law) {
  if (law.groups.empty()) return {};
  Table table(
      {"model", "C", "D", "batch", "rates tried", "best rate", "factor of error", "twice or half loses"});
  for (const BestRate& group : law.groups)
    table.add({group.model, scientific(group.flops, 1), human_count(group.tokens),
               human_count(group.batch_tokens),
               text(scientific(group.tried.front().rate, 1), " to ", scientific(group.tried.back().rate, 1)),
               group.why.empty() ? scientific(group.rate, 1) : group.why,
               std::isnan(group.log_error) ? "unknown" : fixed(std::exp(group.log_error), 2),
               std::isnan(group.doubled) ? "" : fixed(group.doubled, 4)});
  return text("\nLearning rates, of runs that differ in nothing else:\n", table.str(), verdict_of(law), "\n");
}

}  // namespace esmscale::study
