#include "esmscale/study/design.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

constexpr int kFewestBudgets = 3, kMostBudgets = 10;
constexpr int kMostModels = 9, kMostReplicates = 2;
constexpr double kSpans[] = {1, 1.5, 2, 2.5, 3};  // decades from the lowest budget to the highest
constexpr double kShare = 0.999;                  // of the total that a design takes

// Budgets spread evenly in ln C below `top`.
std::vector<double> budgets_below(double top, int count, double decades) {
  std::vector<double> budgets;
  for (int i = 0; i < count; ++i)
    budgets.push_back(top * std::pow(10, decades * (double(i) / (count - 1) - 1)));
  return budgets;
}

double middle_of(int count, double top, double decades) {
  const std::vector<double> budgets = budgets_below(top, count, decades);
  return std::sqrt(budgets.front() * budgets.back());
}

struct Choice {
  int budgets;
  double decades;
  int models, replicates;
};

StudyRequest study_of(const DesignRequest& request, const Choice& choice, double top) {
  StudyRequest study = request.study;
  study.budgets = budgets_below(top, choice.budgets, choice.decades);
  study.models = choice.models;
  study.replicates = choice.replicates;
  if (study.centre > 0)
    study.centre *=
        std::pow(middle_of(choice.budgets, top, choice.decades) / request.total_flops, study.exponent);
  return study;
}

// FLOPs of a study without trunks whose highest budget is 1.
double unit_cost(const DesignRequest& request, const Choice& choice) {
  constexpr int kTrials = 8;
  double cost = 0;
  const std::vector<double> budgets = budgets_below(1, choice.budgets, choice.decades);
  for (const double budget : budgets) cost += budget * (choice.models + choice.replicates);
  return cost + (request.study.sweep ? kTrials * budgets.front() : 0);
}

// As large as the total allows: trunks, and shapes that coincide, are priced by the layout itself. nullopt
// where no such study can be laid out.
std::optional<Design> priced(const DesignRequest& request, const Choice& choice, const DesignModel& model) {
  constexpr int kMostSteps = 6;
  double top = kShare * request.total_flops / unit_cost(request, choice);
  for (int step = 0; step < kMostSteps; ++step) {
    StudyRequest study = study_of(request, choice, top);
    const StudyLayout layout = lay_out_study(study);
    const double flops = layout.flops();
    if (flops <= request.total_flops && (flops > 0.97 * request.total_flops || step + 1 == kMostSteps)) {
      DesignError error = design_error(layout, study, model, request.target_flops);
      return Design{
          .why = {}, .study = std::move(study), .flops = flops, .runs = layout.runs.size(), .error = error};
    }
    top *= kShare * request.total_flops / flops;
  }
  return std::nullopt;
}

std::optional<Design> tried(const DesignRequest& request, const Choice& choice, const DesignModel& model) {
  try {
    std::optional<Design> design = priced(request, choice, model);
    if (design && std::isfinite(design->error.half_width())) return design;
  } catch (const Error&) {  // sizes that no shape comes near
  }
  return std::nullopt;
}

void keep_better(std::optional<Design>& best, std::optional<Design> other) {
  if (other && (!best || other->error.half_width() < best->error.half_width())) best = std::move(other);
}

std::optional<Design> best_of(const DesignRequest& request, int budgets, const DesignModel& model) {
  const StudyRequest& study = request.study;
  const auto [least, most] =
      request.fixed_models ? std::pair(study.models, study.models) : std::pair(kFewestModels, kMostModels);
  const auto [fewest, seeds] = request.fixed_replicates ? std::pair(study.replicates, study.replicates)
                                                        : std::pair(0, kMostReplicates);
  std::optional<Design> best;
  for (const double decades : kSpans)
    for (int models = least; models <= most; ++models)
      for (int replicates = fewest; replicates <= seeds; ++replicates)
        keep_better(best, tried(request, {budgets, decades, models, replicates}, model));
  return best;
}

// The advice of docs/laws.md, and the chosen design with trunks (or without them).
void add_others(DesignChoice& choice, const DesignRequest& request) {
  const auto add = [&](std::optional<Design> design, const char* why) {
    if (!design) return;
    design->why = why;
    choice.alternatives.push_back(std::move(*design));
  };
  add(tried(request, {5, 2.5, 8, 1}, choice.model), "the general advice");
  const StudyRequest& chosen = choice.chosen.study;
  const double decades = std::log10(chosen.budgets.back() / chosen.budgets.front());
  DesignRequest other = request;
  other.study.trunks = !request.study.trunks;
  add(tried(other, {int(chosen.budgets.size()), decades, chosen.models, chosen.replicates}, choice.model),
      other.study.trunks ? "the chosen one with --trunks" : "the chosen one without --trunks");
}

Json error_json(const DesignError& error) {
  return {{"log_parameters", error.deviation()},
          {"by_noise", error.noise},
          {"by_drift", error.drift},
          {"a", error.exponent},
          {"degrees", error.degrees},
          {"factor_95", std::exp(error.half_width())}};
}

Json design_json(const Design& design) {
  return {{"why", design.why},
          {"budgets", design.study.budgets},
          {"models", design.study.models},
          {"replicates", design.study.replicates},
          {"trunks", design.study.trunks},
          {"runs", design.runs},
          {"flops", design.flops},
          {"error", error_json(design.error)}};
}

}  // namespace

DesignChoice choose_design(const DesignRequest& request) {
  DesignChoice choice{.total_flops = request.total_flops,
                      .target_flops = request.target_flops,
                      .model = design_model(request.study.laws),
                      .chosen = {},
                      .alternatives = {}};
  std::vector<Design> best;
  for (int budgets = kFewestBudgets; budgets <= kMostBudgets; ++budgets)
    if (std::optional<Design> design = best_of(request, budgets, choice.model)) {
      design->why = text("the best of ", budgets, " budgets");
      best.push_back(std::move(*design));
    }
  if (best.empty())
    throw usage_error({.where = "--study-flops",
                       .expected = "a total that a study of 3 budgets or more fits in",
                       .found = text(scientific(request.total_flops, 1), " FLOPs"),
                       .advice = "give more, or the size to expect with --centre"});
  const auto chosen = std::min_element(best.begin(), best.end(), [](const Design& a, const Design& b) {
    return a.error.half_width() < b.error.half_width();
  });
  choice.chosen = *chosen;
  choice.chosen.why = "chosen";
  best.erase(chosen);
  choice.alternatives = std::move(best);
  add_others(choice, request);
  return choice;
}

Json to_json(const DesignChoice& choice) {
  Json alternatives = Json::array();
  for (const Design& design : choice.alternatives) alternatives.push_back(design_json(design));
  return {{"total_flops", choice.total_flops},
          {"target_flops", choice.target_flops},
          {"model",
           {{"curvature", choice.model.curvature},
            {"noise", choice.model.noise},
            {"from", choice.model.from},
            {"centre_error", choice.model.centre_error},
            {"drift", choice.model.drift}}},
          {"chosen", design_json(choice.chosen)},
          {"alternatives", std::move(alternatives)}};
}

}  // namespace esmscale::study
