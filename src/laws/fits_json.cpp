#include "laws/fits_json.h"

#include "esmscale/laws/laws_json.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

constexpr size_t kMostStoredDraws = 1000;

// At most kMostStoredDraws of them, evenly.
template <class Row>
Json stored_draws(size_t count, const Row& row) {
  Json rows = Json::array();
  const size_t stride = (count + kMostStoredDraws - 1) / kMostStoredDraws;
  for (size_t i = 0; i < count; i += std::max<size_t>(stride, 1)) rows.push_back(row(i));
  return rows;
}

// The numbers of a draw as two rows: kPowers of them, which earlier programs read, and the rest.
template <class Fit>
void add_powers(Json& json, const Fit& fit) {
  constexpr ptrdiff_t kPowers = 6;
  const FrontierLoss& loss = fit.loss;
  const auto rows = [&](const auto& part) {
    return stored_draws(fit.draws.size(), [&](size_t i) { return Json(part(fit.draws[i])); });
  };
  using Row = std::vector<double>;
  add_estimates(json, fit.estimates);
  json["draws"] = rows([](const Row& draw) { return Row(draw.begin(), draw.begin() + kPowers); });
  json["loss_levelling_off"] = {
      {"weight", loss.levelling},
      {"L_inf", loss.floor},
      {"alpha_L", -loss.above_floor.exponent},
      {"G_L", loss.above_floor.coefficient},
      {"draws", rows([](const Row& draw) { return Row(draw.begin() + kPowers, draw.end()); })}};
}

Json of_kaplan_fit(const KaplanFit& fit) {
  Json json{{"objective", fit.objective}, {"held_out_error", number_or_null(fit.held_out_error)}};
  add_estimates(json, fit.estimates);
  return json;
}

// ln Cc, alpha_C and, with a floor, L_inf of each draw: Cc and alpha_C lean on each other, so their intervals
// alone say nothing about a predicted loss.
Json draws_of_frontier(const KaplanFit& fit) {
  return stored_draws(fit.draws.size(), [&](size_t i) {
    const auto& t = fit.draws[i];
    Json row{t[0] / t[1], t[1]};
    if (t.size() > 2) row.push_back(std::exp(t[2]));
    return row;
  });
}

// A, B, alpha, power and E of each draw as a surface (surface_of).
Json draws_of_surface(const KaplanFit& fit) {
  return stored_draws(fit.draws.size(), [&](size_t i) -> Json {
    const ParametricLaw law = surface_of(fit.draws[i]);
    return {number_or_null(law.A), number_or_null(law.B), law.alpha, law.power, law.E};
  });
}

}  // namespace

void add_estimates(Json& json, const std::vector<Estimate>& estimates) {
  Json ci95 = Json::object(), ci80 = Json::object();
  for (const Estimate& e : estimates) {
    json[e.name] = number_or_null(e.value);
    if (e.is_bound) json[e.name + "_below"] = number_or_null(e.ci95.high);
    if (!e.has_interval) continue;
    ci95[e.name] = {number_or_null(e.ci95.low), number_or_null(e.ci95.high)};
    ci80[e.name] = {number_or_null(e.ci80.low), number_or_null(e.ci80.high)};
  }
  json["intervals"] = std::move(ci95);
  json["intervals_80"] = std::move(ci80);
}

Json to_json(const Approach3& fit) {
  Json json{
      {"formula", "L = E + A/N^alpha + B/D^beta"}, {"points", fit.points}, {"objective", fit.objective}};
  add_estimates(json, fit.estimates);
  Json runners_up = Json::array();
  for (size_t i = 1; i < fit.optima.size(); ++i) {
    const auto& t = fit.optima[i].theta;
    runners_up.push_back({{"E", std::exp(t[2])},
                          {"A", std::exp(t[0])},
                          {"B", std::exp(t[1])},
                          {"alpha", t[3]},
                          {"beta", t[4]},
                          {"objective", fit.optima[i].objective}});
  }
  json["runners_up"] = std::move(runners_up);
  json["E_by_profile"] = {number_or_null(fit.floor_by_profile.low),
                          number_or_null(fit.floor_by_profile.high)};
  json["balance_by_profile"] = {number_or_null(fit.balance_by_profile.low),
                                number_or_null(fit.balance_by_profile.high)};
  json["draws"] = stored_draws(fit.draws.size(), [&](size_t i) -> Json {
    const ParametricLaw& law = fit.draws[i].law;
    return {law.E, law.A, law.B, law.alpha, law.beta};
  });
  return json;
}

Json to_json(const Approach2& fit, const PointSet& set) {
  Json minima = Json::array(), rejected = Json::array();
  for (const IsoflopProfile& p : fit.profiles) {
    if (!p.rejected.empty()) {
      rejected.push_back({{"budget", p.budget}, {"why", p.rejected}});
      continue;
    }
    Json row{{"budget", p.budget},
             {"flops", p.flops},
             {"parameters", p.minimum.parameters},
             {"tokens", p.minimum.tokens},
             {"loss", p.minimum.loss},
             {"curvature", p.parabola.curvature},
             {"runs", p.points.size()},
             {"log_parameters_error", p.error},
             {"draws_inside", p.draws_inside}};
    if (const Estimate& e = p.log_parameters; e.has_interval)
      row["parameters_interval"] = {std::exp(e.ci95.low), std::exp(e.ci95.high)};
    Json names = Json::array();
    for (const size_t i : p.points) names.push_back(set.points[i].run);
    row["run_names"] = std::move(names);
    minima.push_back(std::move(row));
  }
  Json json{{"formula", "per budget L = L_min + c·(ln N/N_opt)²; N_opt = G_N·C^a, D_opt = G_D·C^b"},
            {"minima", std::move(minima)},
            {"rejected", std::move(rejected)},
            {"sigma", fit.sigma},
            {"sigma_from", fit.sigma_from}};
  add_powers(json, fit);
  return json;
}

Json to_json(const Approach1& fit) {
  Json json{{"formula", "N_opt = G_N·C^a, D_opt = G_D·C^b along the envelope"}, {"from", fit.from}};
  add_powers(json, fit);
  return json;
}

Json to_json(const KaplanLaw& law) {
  const auto fit = [&](const KaplanFit& one) {
    Json json = of_kaplan_fit(one);
    if (law.name == "L_C") json["draws"] = draws_of_frontier(one);
    if (law.name == "L_ND") json["draws"] = draws_of_surface(one);
    return json;
  };
  return {{"formula", law.formula},
          {"points", law.points.size()},
          {"pure", fit(law.pure)},
          {"irreducible", law.irreducible ? fit(*law.irreducible) : Json()},
          {"better", enum_name(law.better)},
          {"gain", number_or_null(law.gain)},
          {"gain_error", number_or_null(law.gain_error)}};
}

Json to_json(const Repeats& fit) {
  Json json{{"formula", "D' = U·[1 + R*·(1 − e^(−R/R*))], R = D/U − 1; N' likewise"},
            {"points", fit.points},
            {"most_epochs", fit.most_epochs},
            {"published", {{"R_star_D", kPublishedTokenRepeats}, {"R_star_N", kPublishedParameterRepeats}}},
            {"error_as_new_data", fit.error_once},
            {"error", fit.error_fitted}};
  add_estimates(json, fit.estimates);
  json["draws"] = stored_draws(fit.draws.size(), [&](size_t i) -> Json {
    return {fit.draws[i].tokens, fit.draws[i].parameters};
  });
  return json;
}

}  // namespace esmscale::laws
