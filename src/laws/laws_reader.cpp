#include "esmscale/core/error.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/fits/kaplan.h"
#include "esmscale/laws/laws_json.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

template <Named E>
E named(const JsonReader& json, std::string_view key) {
  if (const std::optional<E> value = find_enum<E>(json.text(key))) return *value;
  json.at(key).fail("one of " + join(enum_names<E>(), ", "));
}

// Rows of `width` numbers, or if `most` is given, of up to `most`.
std::vector<std::vector<double>> rows_of(const JsonReader& json, std::string_view key, size_t width,
                                         size_t most = 0) {
  std::vector<std::vector<double>> rows;
  for (const JsonReader& row : json.array(key)) {
    std::vector<double>& values = rows.emplace_back();
    for (const JsonReader& value : row.elements()) values.push_back(value.number());
    if (values.size() < width || values.size() > std::max(most, width))
      row.fail(text("a row of ", width, " numbers"));
  }
  return rows;
}

Basis basis_of(const JsonReader& node) {
  Basis basis;
  basis.source = node.text("source");
  basis.flop_count = named<FlopCount>(node, "flop_count");
  basis.parameter_count = named<ParameterCount>(node, "parameter_count");
  basis.loss = named<LossKind>(node, "loss");
  basis.dataset = node.text("dataset");
  basis.holdout = node.text("holdout");
  basis.holdout_label = node.text("holdout_label");
  basis.alphabet = node.text("alphabet");
  basis.mean_squared_length = node.number("mean_squared_length");
  basis.most_epochs = node.number_or("most_epochs", 1);
  std::vector<FlopRatio::Knot> knots;
  for (const auto& row : rows_of(node, "flops_over_6nd", 2)) knots.push_back({row[0], row[1]});
  basis.flop_ratio = FlopRatio(std::move(knots));
  return basis;
}

// A range that begins empty, (0, 0).
void widen(double& low, double& high, double value) {
  low = low > 0 ? std::min(low, value) : value;
  high = std::max(high, value);
}
void widen(LawFile::Powers& powers, double flops) {
  widen(powers.lowest_flops, powers.highest_flops, flops);
}

double mean_curvature(const JsonReader& approach2) {
  double sum = 0;
  const std::vector<JsonReader> minima = approach2.array("minima");
  for (const JsonReader& minimum : minima) sum += minimum.number("curvature");
  return minima.empty() ? 0 : sum / double(minima.size());
}

void read_levelling(const JsonReader& node, LawFile::Powers& powers) {
  powers.loss.floor = node.number("L_inf");
  powers.loss.above_floor = {node.number("G_L"), -node.number("alpha_L")};
  powers.loss.levelling = node.number("weight");
  const auto rows = rows_of(node, "draws", 3);
  if (rows.size() != powers.draws.size())
    node.at("draws").fail(text(powers.draws.size(), " rows, as of `draws`"));
  for (size_t i = 0; i < rows.size(); ++i)
    powers.draws[i].insert(powers.draws[i].end(), rows[i].begin(), rows[i].end());
}

// Files of earlier versions know no loss, or only that of a power law.
LawFile::Powers powers_of(const JsonReader& node) {
  LawFile::Powers powers{{node.number("G_N"), node.number("a")},
                         {node.number("G_D"), node.number("b")},
                         rows_of(node, "draws", 4, 6)};
  if (!node.has("G_L")) return powers;
  const std::vector loss{node.number("alpha_L"), node.number("G_L")};
  powers.loss = frontier_loss_of(loss);
  if (node.has("loss_levelling_off")) read_levelling(node.at("loss_levelling_off"), powers);
  return powers;
}

void read_approach2(const JsonReader& node, LawFile& laws) {
  laws.approach2 = powers_of(node);
  laws.curvature = mean_curvature(node);
  for (const JsonReader& minimum : node.array("minima"))
    if (minimum.has("flops")) widen(*laws.approach2, minimum.number("flops"));
}

// L(N, D) as it is planned from.
void read_kaplan(const JsonReader& node, LawFile& laws) {
  const bool has_floor =
      node.has("irreducible") &&
      takes_floor(named<KaplanForm>(node, "better"), node.at("irreducible").at("intervals").has("L_inf"));
  const JsonReader fit = node.at(has_floor ? "irreducible" : "pure");
  if (!fit.has("draws")) return;
  const double n = fit.number("alpha_N"), d = fit.number("alpha_D");
  laws.kaplan = {.E = has_floor ? fit.number("L_inf") : 0,
                 .A = std::pow(fit.number("Nc"), n / d),
                 .B = fit.number("Dc"),
                 .alpha = n / d,
                 .beta = 1,
                 .power = d};
  for (const auto& row : rows_of(fit, "draws", 5))
    laws.kaplan_draws.push_back(
        {.E = row[4], .A = row[0], .B = row[1], .alpha = row[2], .beta = 1, .power = row[3]});
}

// Files of earlier versions have no draws.
void read_repeats(const JsonReader& node, LawFile& laws) {
  laws.repeats = RepeatLaw{node.number("R_star_D"), node.number("R_star_N")};
  if (!node.has("draws")) return;
  for (const auto& row : rows_of(node, "draws", 2)) laws.repeat_draws.push_back({row[0], row[1]});
}

// Files of earlier versions do not say.
void read_budgets(const JsonReader& root, LawFile& laws) {
  if (!root.has("budgets")) return;
  for (const JsonReader& budget : root.array("budgets"))
    laws.budgets.push_back({budget.number("flops"), budget.number("smallest"), budget.number("largest"),
                            budget.boolean("bracketed")});
}

Planning planning_of(const JsonReader& node) {
  Planning planning;
  for (const Approach approach : kPlanningOrder) {
    const JsonReader approaches = node.at("approaches");
    if (!approaches.has(key_of(approach))) continue;
    const JsonReader verdict = approaches.at(key_of(approach));
    planning.verdicts.push_back({approach, verdict.boolean("supported"), verdict.text("why")});
  }
  return planning;
}

LawFile::Published published_of(const JsonReader& node) {
  return {node.text("name"), node.text("title"), node.text("source"), node.text("protocol"),
          node.text("own_law")};
}

template <class Fit>
LawFile::Powers powers_of(const Fit& fit) {
  return {fit.parameters, fit.tokens, fit.draws, fit.loss};
}

void take_approach2(const Approach2& fit, LawFile& file) {
  file.approach2 = powers_of(fit);
  double sum = 0, kept = 0;
  for (const IsoflopProfile& profile : fit.profiles) {
    if (!profile.rejected.empty()) continue;
    widen(*file.approach2, profile.flops);
    sum += profile.parabola.curvature;
    kept += 1;
  }
  file.curvature = sum / kept;
}

// Over the points that know it; 0 where none does.
double mean_loss_error(const std::vector<Point>& points) {
  double sum = 0, known = 0;
  for (const Point& p : points)
    if (p.loss_error > 0) sum += p.loss_error, known += 1;
  return known > 0 ? sum / known : 0;
}

}  // namespace

LawFile law_file(const Laws& laws) {
  LawFile file;
  file.path = laws.set.basis.source;
  file.basis = laws.set.basis;
  file.warnings = laws.warnings;
  if (laws.approach3) {
    file.approach3 = laws.approach3->law;
    for (const auto& draw : laws.approach3->draws) file.draws.push_back(draw.law);
  }
  if (laws.approach1) file.approach1 = powers_of(*laws.approach1);
  if (laws.approach2) take_approach2(*laws.approach2, file);
  if (const KaplanLaw* law = laws.find_kaplan("L_ND")) {
    file.kaplan = surface_of(law->best().theta);
    for (const auto& theta : law->best().draws) file.kaplan_draws.push_back(surface_of(theta));
  }
  if (std::isfinite(laws.point_noise.sigma)) file.noise = laws.point_noise.sigma;
  file.holdout_error = mean_loss_error(laws.set.points);
  for (const IsoflopProfile& profile : laws.profiles)
    file.budgets.push_back({profile.flops, laws.set.points[profile.points.front()].parameters,
                            laws.set.points[profile.points.back()].parameters, profile.rejected.empty()});
  file.planning = laws.planning;
  if (laws.repeats) {
    file.repeats = laws.repeats->law;
    file.repeat_draws = laws.repeats->draws;
  }
  for (const Point& p : laws.set.points) {
    widen(file.lowest_flops, file.highest_flops, p.flops);
    widen(file.smallest_parameters, file.largest_parameters, p.parameters);
  }
  return file;
}

LawFile read_laws(const std::filesystem::path& file) {
  const Json json = read_json(file);
  if (!json.is_object() || !json.contains("format") || json["format"] != kLawsFormat)
    throw Error(
        {.where = file.string(),
         .expected = text("a laws.json of the format '", kLawsFormat, "'"),
         .found = json.is_object() && json.contains("format") ? to_text(json["format"]) : "no such format",
         .advice = "write it with esmscale fit"});
  const JsonReader root(json, file.string());
  LawFile laws;
  laws.path = file.string();
  laws.basis = basis_of(root.at("basis"));
  if (root.has("approach3")) {
    const JsonReader node = root.at("approach3");
    laws.approach3 = {.E = node.number("E"),
                      .A = node.number("A"),
                      .B = node.number("B"),
                      .alpha = node.number("alpha"),
                      .beta = node.number("beta"),
                      .has_frontier = !node.json().contains("a") || node.has("a")};
    for (const auto& row : rows_of(node, "draws", 5))
      laws.draws.push_back({.E = row[0], .A = row[1], .B = row[2], .alpha = row[3], .beta = row[4]});
  }
  if (root.has("approach1")) laws.approach1 = powers_of(root.at("approach1"));
  if (root.has("approach2")) read_approach2(root.at("approach2"), laws);
  if (root.has("kaplan") && root.at("kaplan").has("L_ND")) read_kaplan(root.at("kaplan").at("L_ND"), laws);
  read_budgets(root, laws);
  if (root.has("planning")) laws.planning = planning_of(root.at("planning"));
  if (root.has("provenance")) laws.published = published_of(root.at("provenance"));
  if (root.has("point_noise") && root.at("point_noise").has("nats"))
    laws.noise = root.at("point_noise").number("nats");
  if (root.has("repeats")) read_repeats(root.at("repeats"), laws);
  std::vector<Point> points;
  for (const JsonReader& point : root.array("runs")) {
    widen(laws.lowest_flops, laws.highest_flops, point.number("flops"));
    points.push_back({.loss_error = point.number_or("loss_error", 0)});
    if (point.has("parameters"))
      widen(laws.smallest_parameters, laws.largest_parameters, point.number("parameters"));
  }
  laws.holdout_error = mean_loss_error(points);
  for (const JsonReader& warning : root.array("warnings")) laws.warnings.push_back(warning.text());
  return laws;
}

}  // namespace esmscale::laws
