#include "esmscale/study/layout.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"
#include "esmscale/study/plan/budget_plan.h"
#include "esmscale/study/plan/shapes.h"
#include "study/study_file.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

double middle_of(const std::vector<double>& budgets) {
  double log_sum = 0;
  for (const double budget : budgets) log_sum += std::log(budget) / double(budgets.size());
  return std::exp(log_sum);
}

// What predicts N_opt, where it is not given and not Cheng et al. 2024.
std::optional<laws::Approach> approach_of(const StudyRequest& request) {
  return request.laws && request.centre <= 0 ? request.laws->preferred() : std::nullopt;
}

std::string centre_source(const StudyRequest& request) {
  if (request.centre > 0)
    return text("N_opt = ", human_count(request.centre),
                " at C = ", scientific(middle_of(request.budgets), 2), " as given, ∝ C^",
                fixed(request.exponent, 2));
  if (const std::optional<laws::Approach> approach = approach_of(request))
    return text(laws::name_of(*approach), " of ", request.laws->path);
  return "Cheng et al. 2024 (protein MLM): N_opt = 1.365e-7·C^0.7598";
}

void check(const StudyRequest& request) {
  Violations wrong;
  wrong.require(!request.budgets.empty(), "no budgets");
  for (const double budget : request.budgets)
    wrong.require(budget > 0 && std::isfinite(budget), text("budget ", budget));
  std::set<std::string> names;
  for (const double budget : request.budgets)  // names of runs have two digits
    wrong.require(names.insert(scientific(budget, 1)).second, text("two budgets of ", scientific(budget, 1)));
  wrong.require(request.models >= kFewestModels, text(request.models, " models"));
  wrong.require(request.spread > 1, text("a spread of ", request.spread));
  wrong.require(!request.trunks || request.rate_exponent == 0,
                "a learning rate by budget for trunks, which several budgets share");
  wrong.refuse({.where = "esmscale study plan",
                .expected = text("budgets above zero that differ in two digits, ", kFewestModels,
                                 " models or more, a spread above 1; trunks with one rate for all budgets"),
                .found = ""});
}

// The nearest size of one grid for all budgets: each size then has several horizons, which approach 1 needs,
// and runs of one size can share a trunk.
double grid_size(const StudyRequest& request, double size) {
  const double centre = expected_size(request, middle_of(request.budgets));
  const double step = 2 * std::log(request.spread) / (request.models - 1);
  return centre * std::exp(step * std::round(std::log(size / centre) / step));
}

// One batch a budget: that of its middle size.
StudyRun run_of(const StudyRequest& request, const config::ModelConfig& shape, double budget,
                double batch_tokens, int64_t seed) {
  StudyRun run;
  run.budget = budget;
  run.parameters = count_as(shape, request.basis.parameter_count);
  run.tokens = std::round(budget / flops_per_token(shape, request.basis));
  run.flops = budget;
  ConfigOptions options = request.config;
  options.batch_tokens = batch_tokens;
  run.config = planned_config(shape, run.parameters, run.tokens, budget, options);
  const double smallest = *std::min_element(request.budgets.begin(), request.budgets.end());
  const double of_budget = std::pow(budget / smallest, request.rate_exponent);
  run.config.optimizer.lr *= of_budget;
  run.config.optimizer.matrix_lr *= of_budget;
  run.config.train.seed = seed;
  run.config.study = {request.name, budget, seed - 1, run.stage};
  if (request.trunks) run.config.schedule.name = config::ScheduleKind::wsd;
  run.name = text("c", scientific(budget, 1), "_", shape_name(shape), "_s", seed);
  return run;
}

void add_profile(StudyLayout& layout, const StudyRequest& request, double budget) {
  const int64_t alphabet = request.basis.alphabet.starts_with("33") ? 33 : 29;
  const double best = grid_size(request, expected_size(request, budget));
  std::vector<config::ModelConfig> shapes;
  for (int i = 0; i < request.models; ++i) {
    const double n = best * std::pow(request.spread, 2.0 * i / (request.models - 1) - 1);
    const config::ModelConfig shape = nearest_shape(n, request.basis.parameter_count, alphabet);
    if (shapes.empty() || shape_name(shapes.back()) != shape_name(shape)) shapes.push_back(shape);
  }
  if (int(shapes.size()) < request.models)
    layout.warnings.push_back(text("budget ", scientific(budget, 1), ": only ", shapes.size(),
                                   " different shapes near ", human_count(best), " parameters"));
  const StudyRun middle = run_of(request, shapes[shapes.size() / 2], budget, request.config.batch_tokens, 1);
  const double batch_tokens = double(middle.config.train.batch_tokens);
  for (size_t i = 0; i < shapes.size(); ++i)
    for (int64_t seed = 1; seed <= 1 + (i == shapes.size() / 2 ? request.replicates : 0); ++seed)
      layout.runs.push_back(run_of(request, shapes[i], budget, batch_tokens, seed));
}

// ½, 1, 2 and 4 times the recipe's rate at the two smallest sizes of the smallest budget.
std::vector<StudyRun> sweep_of(const std::vector<StudyRun>& runs) {
  std::vector<StudyRun> sweep;
  for (const StudyRun& run : runs) {
    if (run.budget != runs.front().budget || run.config.train.seed != 1) continue;
    if (sweep.size() == 8) break;
    for (const double factor : {0.5, 1.0, 2.0, 4.0}) {
      StudyRun trial = run;
      trial.stage = config::RunStage::lr_sweep;
      trial.config.study.stage = trial.stage;
      trial.config.optimizer.lr *= factor;
      trial.config.optimizer.matrix_lr *= factor;
      trial.name = text("lr", factor, "_", run.name);
      sweep.push_back(std::move(trial));
    }
  }
  return sweep;
}

// One batch for all budgets, that of the middle one: a trunk serves several.
double trunk_batch(const StudyRequest& request) {
  const double budget = middle_of(request.budgets);
  const config::ModelConfig shape =
      nearest_shape(expected_size(request, budget), request.basis.parameter_count,
                    request.basis.alphabet.starts_with("33") ? 33 : 29);
  return double(run_of(request, shape, budget, request.config.batch_tokens, 1).config.train.batch_tokens);
}

// Where the decay of a wsd run begins.
double end_of_trunk(const StudyRun& run) {
  return std::round((1 - run.config.schedule.decay_fraction) * run.tokens);
}

StudyRun trunk_of(const StudyRun& branch, const StudyRun* before) {
  StudyRun trunk = branch;
  trunk.stage = config::RunStage::trunk;
  trunk.config.study.stage = trunk.stage;
  trunk.name = "trunk_" + branch.name;
  trunk.parent = before ? before->name : "";
  trunk.tokens = end_of_trunk(branch);
  trunk.tokens_before = before ? before->tokens : 0;
  trunk.flops = branch.budget / branch.tokens * (trunk.tokens - trunk.tokens_before);
  trunk.config.schedule.name = config::ScheduleKind::constant;
  trunk.config.train.max_tokens = int64_t(trunk.tokens);
  return trunk;
}

// The runs of one size by budget: a trunk in pieces, at the end of each the branch of a budget.
void add_chain(std::vector<StudyRun>& to, const std::vector<const StudyRun*>& runs) {
  const int64_t warmup =
      std::min(runs.front()->config.schedule.warmup_tokens, int64_t(end_of_trunk(*runs.front()) / 10));
  std::string before;
  for (const StudyRun* run : runs) {
    StudyRun branch = *run;
    branch.config.schedule.warmup_tokens = warmup;
    const auto last = std::find_if(to.begin(), to.end(), [&](const StudyRun& r) { return r.name == before; });
    const StudyRun trunk = trunk_of(branch, last == to.end() ? nullptr : &*last);
    branch.parent = before = trunk.name;
    branch.tokens_before = trunk.tokens;
    branch.flops = branch.budget / branch.tokens * (branch.tokens - branch.tokens_before);
    to.push_back(trunk);
    to.push_back(branch);
  }
}

// Sizes of one budget only, and replicates, run without a trunk.
std::vector<StudyRun> with_trunks(const std::vector<StudyRun>& runs) {
  std::map<std::string, std::vector<const StudyRun*>> by_shape;
  for (const StudyRun& run : runs)
    if (run.config.train.seed == 1) by_shape[shape_name(run.config.model)].push_back(&run);
  std::vector<StudyRun> all;
  for (const StudyRun& run : runs) {
    const auto& chain = by_shape[shape_name(run.config.model)];
    const bool shares = run.config.train.seed == 1 && chain.size() > 1;
    if (!shares) all.push_back(run);
    if (shares && chain.front() == &run) add_chain(all, chain);
  }
  return all;
}

void add_doubts(StudyLayout& layout, const StudyRequest& request) {
  const auto [low, high] = std::minmax_element(request.budgets.begin(), request.budgets.end());
  constexpr double kAdvised = 2.45;  // 1e18 to 3e20 is 2.48
  if (request.budgets.size() < 5 || std::log10(*high / *low) < kAdvised)
    layout.warnings.push_back(text(request.budgets.size(), " budgets over ",
                                   fixed(std::log10(*high / *low), 2),
                                   " decades; 5 or more over 2.5 are advised"));
  const bool is_cheng = request.centre <= 0 && !approach_of(request);
  if (is_cheng && request.laws)
    layout.warnings.push_back(text(request.laws->path, " has no approach that its points support (",
                                   request.laws->planning.reasons(),
                                   "): the sizes are about Cheng et al. 2024 in its place; give --centre, or "
                                   "another law"));
  if (is_cheng && (laws::is_beyond(*low, laws::kChengLow, laws::kChengHigh) ||
                   laws::is_beyond(*high, laws::kChengLow, laws::kChengHigh)))
    layout.warnings.push_back(
        "Cheng et al.'s law was fitted from 1e18 to 1e21 FLOPs; give --centre where it does not hold");
  if (request.trunks)
    layout.warnings.push_back(
        "trunks: all budgets share one batch and one learning rate a size, and the branches decay over their "
        "last "
        "fifth only; measure what that costs at one size");
  for (const StudyRun& run : layout.runs)
    if (run.tokens < 2000.0 * double(run.config.train.batch_tokens)) {
      layout.warnings.push_back(text("some runs are shorter than 2,000 steps (", run.name, ")"));
      break;
    }
}

Json row_of(const StudyRun& run) {
  return {{"name", run.name},
          {"stage", enum_name(run.stage)},
          {"parent", run.parent},
          {"config", "configs/" + run.name + ".json"},
          {"budget", run.budget},
          {"parameters", run.parameters},
          {"tokens", run.tokens},
          {"tokens_before", run.tokens_before},
          {"flops", run.flops},
          {"seed", run.config.train.seed},
          {"lr", run.config.optimizer.lr},
          {"batch_tokens", run.config.train.batch_tokens},
          {"shape", shape_name(run.config.model)}};
}

}  // namespace

double expected_size(const StudyRequest& request, double budget) {
  if (request.centre > 0)
    return request.centre * std::pow(budget / middle_of(request.budgets), request.exponent);
  if (const std::optional<laws::Approach> approach = approach_of(request))
    return request.laws->optimum(*approach, budget).parameters;
  const laws::PublishedFrontier& cheng = laws::published_frontiers().back();
  return cheng.coefficient_parameters * std::pow(budget, cheng.a);
}

double StudyLayout::flops() const {
  double sum = 0;
  for (const StudyRun& run : runs) sum += run.flops;
  return sum;
}

StudyLayout lay_out_study(const StudyRequest& asked) {
  check(asked);
  StudyRequest request = asked;
  if (request.trunks) request.config.batch_tokens = trunk_batch(request);
  StudyLayout layout{.name = request.name, .centre_from = centre_source(request), .runs = {}, .warnings = {}};
  std::vector<double> budgets = request.budgets;
  std::sort(budgets.begin(), budgets.end());
  for (const double budget : budgets) add_profile(layout, request, budget);
  std::vector<StudyRun> sweep;
  if (request.sweep) sweep = sweep_of(layout.runs);
  if (request.trunks) layout.runs = with_trunks(layout.runs);
  layout.runs.insert(layout.runs.begin(), sweep.begin(), sweep.end());
  add_doubts(layout, request);
  return layout;
}

Json to_json(const StudyLayout& layout) {
  Json runs = Json::array();
  for (const StudyRun& run : layout.runs) runs.push_back(row_of(run));
  return {{"format", kStudyFormat},       {"version", kStudyVersion}, {"name", layout.name},
          {"centre", layout.centre_from}, {"flops", layout.flops()},  {"warnings", layout.warnings},
          {"runs", std::move(runs)}};
}

}  // namespace esmscale::study
