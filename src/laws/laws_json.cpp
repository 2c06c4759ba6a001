#include "esmscale/laws/laws_json.h"

#include "esmscale/core/version.h"
#include "laws/fits_json.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

Json of_plateau(const Plateau& plateau) {
  Json comparisons = Json::object(), frontier = Json::array();
  for (const auto& c : plateau.comparisons)
    comparisons[c.law] = {{"better", enum_name(c.better)},
                          {"gain", number_or_null(c.gain)},
                          {"gain_error", number_or_null(c.gain_error)}};
  for (const auto& row : plateau.frontier)
    frontier.push_back({{"flops", row.optimum.flops},
                        {"parameters", number_or_null(row.optimum.parameters)},
                        {"tokens", number_or_null(row.optimum.tokens)},
                        {"loss", number_or_null(row.optimum.loss)},
                        {"dL_dlnN", number_or_null(row.slope_parameters)},
                        {"dL_dlnD", number_or_null(row.slope_tokens)},
                        {"above_E", number_or_null(row.above_floor)}});
  return {{"verdict", plateau.verdict}, {"floor_against_power_law", comparisons}, {"frontier", frontier}};
}

Json of_lack_of_fit(const std::vector<LackOfFit>& all) {
  Json rows = Json::object();
  for (const LackOfFit& fit : all)
    rows[fit.key] = {{"law", fit.law},
                     {"points", fit.points},
                     {"constants", fit.constants},
                     {"rms", number_or_null(fit.rms)},
                     {"scale", number_or_null(fit.scale)},
                     {"ratio", number_or_null(fit.ratio)},
                     {"trend_flops", number_or_null(fit.trend_flops)},
                     {"trend_parameters", number_or_null(fit.trend_parameters)},
                     {"trend_tokens", number_or_null(fit.trend_tokens)},
                     {"held_out_error", number_or_null(fit.held_out_error)},
                     {"off_line", number_or_null(fit.off_line)},
                     {"aic", number_or_null(fit.aic)}};
  return rows;
}

// Also under each law itself, where it is looked for.
void add_to_laws(Json& json, const Json& rows) {
  for (const auto& [key, row] : rows.items()) {
    Json* law = &json;
    for (size_t begin = 0, dot; begin <= key.size(); begin = dot + 1) {
      dot = std::min(key.find('.', begin), key.size());
      law = &(*law)[key.substr(begin, dot - begin)];
    }
    (*law)["lack_of_fit"] = row;
    (*law)["held_out_error"] = row["held_out_error"];
  }
}

Json of_planning(const Planning& planning) {
  Json approaches = Json::object();
  for (const Planning::Verdict& verdict : planning.verdicts)
    approaches[key_of(verdict.approach)] = {{"supported", verdict.is_supported}, {"why", verdict.why}};
  const std::optional<Approach> taken = planning.taken();
  return {{"approach", taken ? Json(key_of(*taken)) : Json()},
          {"why", taken ? planning.of(*taken)->why : "no approach is supported: " + planning.reasons()},
          {"approaches", std::move(approaches)}};
}

Json of_leverage(const Laws& laws) {
  if (laws.leverage.empty()) return nullptr;
  const auto rows_of = [](const std::vector<Leverage::Without>& all, const char* name) {
    Json rows = Json::array();
    for (const Leverage::Without& one : all)
      rows.push_back(
          {{name, one.what}, {"a", number_or_null(one.a)}, {"parameters", number_or_null(one.parameters)}});
    return rows;
  };
  Json json = Json::object();
  for (const Leverage& leverage : laws.leverage)
    json[key_of(leverage.approach)] = {{"flops", leverage.flops},
                                       {"a", number_or_null(leverage.a)},
                                       {"parameters", number_or_null(leverage.parameters)},
                                       {"without_run", rows_of(leverage.runs, "run")},
                                       {"without_budget", rows_of(leverage.budgets, "budget")}};
  return json;
}

Json of_outliers(const std::vector<Outlier>& outliers) {
  Json rows = Json::array();
  for (const Outlier& o : outliers)
    rows.push_back({{"run", o.run}, {"from", o.from}, {"nats", o.nats}, {"times", o.times}});
  return rows;
}

Json of_sensitivity(const std::vector<CountRow>& all) {
  Json rows = Json::array();
  for (const CountRow& row : all) {
    Json json{{"flop_count", enum_name(row.flop_count)},
              {"parameter_count", enum_name(row.parameter_count)},
              {"approach", key_of(row.approach)},
              {"flops", row.flops > 0 ? Json(row.flops) : Json()}};
    add_estimates(json, {row.a, row.parameters});
    if (!row.why.empty()) json["why"] = row.why;
    rows.push_back(std::move(json));
  }
  return rows;
}

Json of_seed_noise(const Laws& laws) {
  Json runs = Json::array();
  for (const size_t i : laws.noise.largest) runs.push_back(laws.set.points[i].run);
  return {{"sigma_log_loss", laws.noise.sigma},
          {"degrees", laws.noise.degrees},
          {"largest_share", laws.noise.share},
          {"largest_runs", std::move(runs)}};
}

Json of_budgets(const std::vector<LawFile::Budget>& budgets) {
  Json rows = Json::array();
  for (const LawFile::Budget& budget : budgets)
    rows.push_back({{"flops", budget.flops},
                    {"smallest", budget.smallest},
                    {"largest", budget.largest},
                    {"bracketed", budget.is_bracketed}});
  return rows;
}

Json of_published(const PublishedFrontier& p) {
  Json json{{"name", p.name}, {"source", p.source}, {"a", p.a}, {"b", p.b}};
  if (p.coefficient_parameters > 0) json["G_N"] = p.coefficient_parameters;
  if (p.coefficient_tokens > 0) json["G_D"] = p.coefficient_tokens;
  return json;
}

Json of_huber(const std::vector<HuberRow>& all) {
  Json rows = Json::array();
  for (const HuberRow& row : all)
    rows.push_back({{"delta", std::isfinite(row.delta) ? Json(row.delta) : Json("least squares")},
                    {"approach", key_of(row.approach)},
                    {"flops", row.flops},
                    {"a", number_or_null(row.a)},
                    {"parameters", number_or_null(row.parameters)}});
  return rows;
}

Json of_basis(const PointSet& set) {
  const Basis& b = set.basis;
  Json knots = Json::array();
  for (const auto& knot : b.flop_ratio.knots()) knots.push_back({knot.parameters, knot.ratio});
  return {{"source", b.source},
          {"flop_count", enum_name(b.flop_count)},
          {"parameter_count", enum_name(b.parameter_count)},
          {"loss", enum_name(b.loss)},
          {"dataset", b.dataset},
          {"holdout", b.holdout},
          {"holdout_label", b.holdout_label},
          {"alphabet", b.alphabet},
          {"mean_squared_length", b.mean_squared_length},
          {"most_epochs", b.most_epochs},
          {"flops_over_6nd", std::move(knots)}};
}

Json of_points(const PointSet& set, const std::optional<LawFile::Shown>& shown) {
  Json rows = Json::array();
  for (const Point& p : set.points) {
    const double predicted = shown ? shown->surface.loss(p.parameters, p.tokens) : NAN;
    Json row{{"run", p.run},       {"parameters", p.parameters},
             {"tokens", p.tokens}, {"flops", p.flops},
             {"loss", p.loss},     {"seed", p.seed}};
    row["predicted"] = number_or_null(predicted);
    row["residual"] = number_or_null(p.loss - predicted);
    if (p.budget > 0) row["budget"] = p.budget;
    if (p.unique_tokens > 0) row["unique_tokens"] = p.unique_tokens;
    if (p.loss_error > 0) row["loss_error"] = p.loss_error;
    if (!p.schedule.empty()) row["schedule"] = p.schedule;
    rows.push_back(std::move(row));
  }
  return rows;
}

template <class Part>
Json or_null(const std::optional<Part>& part, const auto& convert) {
  return part ? convert(*part) : Json();
}

}  // namespace

Json to_json(const Laws& laws) {
  Json kaplan{{"L_N", nullptr}, {"L_D", nullptr}, {"L_C", nullptr}, {"L_ND", nullptr}};
  for (const KaplanLaw& law : laws.kaplan) kaplan[law.name] = to_json(law);
  Json excluded = Json::array(), published = Json::array();
  for (const auto& e : laws.set.excluded) excluded.push_back({{"run", e.run}, {"why", e.why}});
  for (const PublishedFrontier& p : published_frontiers()) published.push_back(of_published(p));
  const LawFile file = law_file(laws);
  const std::optional<LawFile::Shown> shown = file.shown();
  Json json{{"format", kLawsFormat},
            {"version", version()},
            {"revision", revision()},
            {"points", laws.set.points.size()},
            {"basis", of_basis(laws.set)},
            {"interval_level", 0.95},
            {"bootstrap", {{"draws", laws.options.draws}, {"seed", laws.options.seed}}},
            {"seed_noise", of_seed_noise(laws)},
            {"approach3", or_null(laws.approach3, [](const Approach3& fit) { return to_json(fit); })},
            {"approach2", or_null(laws.approach2, [&](const Approach2& a) { return to_json(a, laws.set); })},
            {"approach1", or_null(laws.approach1, [](const Approach1& fit) { return to_json(fit); })},
            {"kaplan", std::move(kaplan)},
            {"repeats", or_null(laws.repeats, [](const Repeats& fit) { return to_json(fit); })},
            {"plateau", of_plateau(laws.plateau)},
            {"why", laws.why},
            {"warnings", laws.warnings},
            {"excluded", std::move(excluded)},
            {"published", std::move(published)},
            {"planning", of_planning(laws.planning)},
            {"budgets", of_budgets(file.budgets)},
            {"point_noise",
             {{"nats", number_or_null(laws.point_noise.sigma)},
              {"scale", number_or_null(laws.point_noise.scale)},
              {"from", laws.point_noise.from}}},
            {"sensitivity", of_sensitivity(laws.sensitivity)},
            {"huber", of_huber(laws.huber)},
            {"leverage", of_leverage(laws)},
            {"outliers", of_outliers(laws.outliers)},
            {"predicted_by", shown ? Json(key_of(shown->approach)) : Json()},
            {"runs", of_points(laws.set, shown)}};
  add_to_laws(json, of_lack_of_fit(laws.lack_of_fit));
  return json;
}

namespace {

void write_readable(const Json& json, size_t depth, std::string& out) {
  const bool is_flat =
      std::none_of(json.begin(), json.end(), [](const Json& child) { return child.is_structured(); });
  if (!json.is_structured() || json.empty() || (json.is_array() && is_flat)) {
    out += to_text(json);
    return;
  }
  const std::string indent(2 * (depth + 1), ' ');
  out += json.is_object() ? "{\n" : "[\n";
  for (auto child = json.begin(); child != json.end(); ++child) {
    if (child != json.begin()) out += ",\n";
    out += indent;
    if (json.is_object()) out.append(to_text(Json(child.key()))).append(": ");
    write_readable(*child, depth + 1, out);
  }
  out.append("\n").append(2 * depth, ' ').append(json.is_object() ? "}" : "]");
}

}  // namespace

std::string readable_text(const Json& json) {
  std::string out;
  write_readable(json, 0, out);
  out += '\n';
  return out;
}

}  // namespace esmscale::laws
