#include "esmscale/laws/difference.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/fits/repeats.h"
#include "esmscale/laws/laws_json.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

constexpr double kHalfDecade = 3.1622776601683795;
constexpr size_t kMostDraws = 2000;  // of a fit: a file of more would make pairs without bound

void require_same_basis(const LawFile& first, const LawFile& second, bool allow_mixed) {
  std::vector<std::string> expected, found;
  const auto check = [&](const char* what, std::string_view a, std::string_view b) {
    if (a == b) return;
    expected.push_back(text(what, " ", a.empty() ? "none" : a));
    found.push_back(text(what, " ", b.empty() ? "none" : b));
  };
  check("flop count", enum_name(first.basis.flop_count), enum_name(second.basis.flop_count));
  check("parameter count", enum_name(first.basis.parameter_count), enum_name(second.basis.parameter_count));
  check("loss", enum_name(first.basis.loss), enum_name(second.basis.loss));
  const bool counts_differ = !expected.empty();
  if (!allow_mixed) {
    check("holdout", first.basis.holdout, second.basis.holdout);
    check("points of", "at most " + epochs_text(first.basis.most_epochs),
          "at most " + epochs_text(second.basis.most_epochs));
  }
  if (expected.empty()) return;
  throw usage_error(
      {.where = second.path,
       .expected = text(join(expected, ", "), ", as in ", first.path),
       .found = join(found, ", "),
       .advice = counts_differ
                     ? "fit the points again with the same --flop-count, --parameter-count and --loss"
                     : "--allow-mixed compares them nevertheless, without losses on different holdouts"});
}

double shared_middle(const LawFile& first, const LawFile& second) {
  const double low = std::max(first.lowest_flops, second.lowest_flops);
  const double high = std::min(first.highest_flops, second.highest_flops);
  if (low > 0 && low <= high) return std::sqrt(low * high);
  throw usage_error(
      {.where = "esmscale fit --compare",
       .expected = "two fits whose budgets overlap, or the C to compare at with --flops",
       .found =
           text(scientific(first.lowest_flops, 1), " to ", scientific(first.highest_flops, 1), " FLOPs and ",
                scientific(second.lowest_flops, 1), " to ", scientific(second.highest_flops, 1))});
}

std::string against(const LawFile& laws, Approach approach) {
  const Planning::Verdict* verdict = laws.planning.of(approach);
  if (verdict && !verdict->is_supported) return text(laws.path, ": ", verdict->why);
  return laws.has(approach) ? "" : text(laws.path, ": it has none");
}

// a, ln N_opt and the loss at C.
struct Answer {
  double exponent, log_parameters, loss;
};
Answer answer_of(const LossSurface& surface, double flops) {
  const Optimum best = surface.optimum(flops);
  const double low = surface.optimum(flops / kHalfDecade).parameters;
  const double high = surface.optimum(flops * kHalfDecade).parameters;
  return {std::log(high / low) / std::log(10.0), std::log(best.parameters), best.loss};
}

std::vector<Answer> draws_of(const LawFile& laws, Approach approach, double flops) {
  std::vector<Answer> answers;
  for (const LossSurface& surface : laws.drawn_surfaces(approach)) {
    if (answers.size() == kMostDraws) break;
    answers.push_back(answer_of(surface, flops));
  }
  return answers;
}

using Draws = std::vector<Answer>;

Change change_of(const Answer& first, const Answer& second, const Draws& first_draws,
                 const Draws& second_draws, double Answer::*member) {
  constexpr size_t kFewestDraws = 20;
  Change change{first.*member, second.*member, first.*member - second.*member, std::nullopt};
  if (!std::isfinite(change.change)) return change;
  std::vector<double> all;
  all.reserve(first_draws.size() * second_draws.size());
  for (const Answer& a : first_draws)
    for (const Answer& b : second_draws)
      if (const double one = a.*member - b.*member; std::isfinite(one)) all.push_back(one);
  if (std::min(first_draws.size(), second_draws.size()) < kFewestDraws ||
      2 * all.size() < first_draws.size() * second_draws.size())
    return change;
  change.interval = holding(central_interval(std::move(all), 0.95), change.change);
  return change;
}

Change as_ratio(Change change) {
  const auto raise = [](double& value) { value = std::exp(value); };
  raise(change.first);
  raise(change.second);
  raise(change.change);
  if (change.interval) {
    raise(change.interval->low);
    raise(change.interval->high);
  }
  return change;
}

void compare(LawDifference::Row& row, const LawFile& first, const LawFile& second, double flops) {
  const Answer a = answer_of(*first.surface(row.approach), flops),
               b = answer_of(*second.surface(row.approach), flops);
  const Draws of_a = draws_of(first, row.approach, flops), of_b = draws_of(second, row.approach, flops);
  row.exponent = change_of(a, b, of_a, of_b, &Answer::exponent);
  row.parameters = as_ratio(change_of(a, b, of_a, of_b, &Answer::log_parameters));
  row.loss = change_of(a, b, of_a, of_b, &Answer::loss);
}

void add_warnings(LawDifference& difference, const LawFile& first, const LawFile& second) {
  for (const LawFile* laws : {&first, &second})
    for (const LawDifference::Row& row : difference.rows) {
      const double parameters = laws == &first ? row.parameters.first : row.parameters.second;
      if (!row.why_not.empty()) continue;
      if (const double decades = laws->decades_beyond(row.approach, difference.flops, parameters);
          decades > 0)
        difference.warnings.push_back(text(name_of(row.approach), " of ", laws->path, " is extrapolated by ",
                                           fixed(decades, 1), " decades: the interval does not hold that"));
    }
  if (first.basis.holdout != second.basis.holdout)
    difference.warnings.push_back(
        "the holdouts differ, as --allow-mixed permits: the losses are not compared");
  if (first.basis.most_epochs != second.basis.most_epochs)
    difference.warnings.push_back(text("the first fit has points of at most ",
                                       epochs_text(first.basis.most_epochs), ", the second of at most ",
                                       epochs_text(second.basis.most_epochs)));
}

Json change_json(const Change& change, const char* name) {
  Json json{{"first", number_or_null(change.first)},
            {"second", number_or_null(change.second)},
            {name, number_or_null(change.change)}};
  json["interval"] = change.interval
                         ? Json{number_or_null(change.interval->low), number_or_null(change.interval->high)}
                         : Json();
  return json;
}

}  // namespace

LawDifference difference_of(const LawFile& first, const LawFile& second, double flops, bool allow_mixed) {
  require_same_basis(first, second, allow_mixed);
  LawDifference difference{.first = first.path,
                           .second = second.path,
                           .flops = flops > 0 ? flops : shared_middle(first, second),
                           .rows = {},
                           .warnings = {}};
  for (const Approach approach : kPlanningOrder) {
    LawDifference::Row row{.approach = approach, .why_not = {}, .exponent = {}, .parameters = {}, .loss = {}};
    std::vector<std::string> reasons{against(first, approach), against(second, approach)};
    std::erase(reasons, "");
    row.why_not = join(reasons, "; ");
    if (reasons.empty()) compare(row, first, second, difference.flops);
    if (first.basis.holdout != second.basis.holdout) row.loss = {NAN, NAN, NAN, std::nullopt};
    difference.rows.push_back(std::move(row));
  }
  add_warnings(difference, first, second);
  return difference;
}

Json to_json(const LawDifference& difference) {
  Json approaches = Json::object();
  for (const LawDifference::Row& row : difference.rows) {
    Json json{{"supported", row.why_not.empty()}};
    if (row.why_not.empty()) {
      json["a"] = change_json(row.exponent, "difference");
      json["parameters"] = change_json(row.parameters, "ratio");
      json["loss"] = change_json(row.loss, "difference");
    } else {
      json["why"] = row.why_not;
    }
    approaches[key_of(row.approach)] = std::move(json);
  }
  return {{"first", difference.first},           {"second", difference.second},
          {"flops", difference.flops},           {"interval_level", 0.95},
          {"approaches", std::move(approaches)}, {"warnings", difference.warnings}};
}

}  // namespace esmscale::laws
