#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws_json.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::laws {
namespace {

// A JSON object that names itself in errors.
class Node {
 public:
  Node(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {}

  bool is_null(const char* key) const { return json_->contains(key) && (*json_)[key].is_null(); }
  bool has(const char* key) const { return json_->contains(key) && !(*json_)[key].is_null(); }
  Node at(const char* key) const { return {typed(key, "an object", &Json::is_object), where_ + "." + key}; }
  const Json& list(const char* key) const { return typed(key, "a list", &Json::is_array); }
  double number(const char* key) const { return typed(key, "a number", &Json::is_number).get<double>(); }
  std::string word(const char* key) const {
    return typed(key, "a text", &Json::is_string).get<std::string>();
  }

  // Rows of `width` numbers.
  std::vector<std::vector<double>> rows(const char* key, size_t width) const {
    std::vector<std::vector<double>> rows;
    for (const Json& row : list(key)) {
      const bool is_row = row.is_array() && row.size() == width &&
                          std::all_of(row.begin(), row.end(), [](const Json& v) { return v.is_number(); });
      if (!is_row) throw wrong(key, text("rows of ", width, " numbers"), to_text(row));
      rows.push_back(row.get<std::vector<double>>());
    }
    return rows;
  }

  Error wrong(const char* key, std::string expected, std::string found) const {
    return Error({.where = where_ + "." + key,
                  .expected = std::move(expected),
                  .found = std::move(found),
                  .advice = "write the file anew with esmscale fit"});
  }

 private:
  const Json& typed(const char* key, const char* what, bool (Json::*is)() const noexcept) const {
    if (!json_->contains(key)) throw wrong(key, what, "nothing");
    const Json& value = (*json_)[key];
    if (!(value.*is)()) throw wrong(key, what, to_text(value).substr(0, 60));
    return value;
  }

  const Json* json_;
  std::string where_;
};

Basis basis_of(const Node& node) {
  Basis basis;
  basis.source = node.word("source");
  basis.flop_count = node.word("flop_count");
  basis.parameter_count = node.word("parameter_count");
  basis.loss = node.word("loss");
  basis.dataset = node.word("dataset");
  basis.holdout = node.word("holdout");
  basis.holdout_label = node.word("holdout_label");
  basis.alphabet = node.word("alphabet");
  basis.mean_squared_length = node.number("mean_squared_length");
  std::vector<FlopRatio::Knot> knots;
  for (const auto& row : node.rows("flops_over_6nd", 2)) knots.push_back({row[0], row[1]});
  basis.flop_ratio = FlopRatio(std::move(knots));
  return basis;
}

LawFile::Powers powers_of(const Node& node) {
  return {
      {node.number("G_N"), node.number("a")}, {node.number("G_D"), node.number("b")}, node.rows("draws", 4)};
}

double mean_curvature(const Node& approach2) {
  double sum = 0;
  const Json& minima = approach2.list("minima");
  for (const Json& minimum : minima) sum += Node(minimum, "approach2.minima").number("curvature");
  return minima.empty() ? 0 : sum / double(minima.size());
}

template <class Approach>
LawFile::Powers powers_of(const Approach& fit) {
  return {fit.parameters, fit.tokens, fit.draws};
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
  if (laws.approach2) file.approach2 = powers_of(*laws.approach2);
  if (laws.repeats) file.repeats = laws.repeats->law;
  for (const Point& p : laws.set.points) {
    file.lowest_flops = file.lowest_flops > 0 ? std::min(file.lowest_flops, p.flops) : p.flops;
    file.highest_flops = std::max(file.highest_flops, p.flops);
  }
  return file;
}

LawFile read_laws(const std::filesystem::path& file) {
  const Json json = read_json(file);
  const Node root(json, file.string());
  if (!json.is_object() || !json.contains("format") || json["format"] != kLawsFormat)
    throw Error(
        {.where = file.string(),
         .expected = text("a laws.json of the format '", kLawsFormat, "'"),
         .found = json.is_object() && json.contains("format") ? to_text(json["format"]) : "no such format",
         .advice = "write it with esmscale fit"});
  LawFile laws;
  laws.path = file.string();
  laws.basis = basis_of(root.at("basis"));
  if (root.has("approach3")) {
    const Node node = root.at("approach3");
    laws.approach3 = {.E = node.number("E"),
                      .A = node.number("A"),
                      .B = node.number("B"),
                      .alpha = node.number("alpha"),
                      .beta = node.number("beta"),
                      .is_seen = !node.is_null("a")};
    for (const auto& row : node.rows("draws", 5))
      laws.draws.push_back({.E = row[0], .A = row[1], .B = row[2], .alpha = row[3], .beta = row[4]});
  }
  if (root.has("approach1")) laws.approach1 = powers_of(root.at("approach1"));
  if (root.has("approach2")) {
    laws.approach2 = powers_of(root.at("approach2"));
    laws.curvature = mean_curvature(root.at("approach2"));
  }
  if (root.has("repeats"))
    laws.repeats = RepeatLaw{root.at("repeats").number("R_star_D"), root.at("repeats").number("R_star_N")};
  for (const Json& run : root.list("runs")) {
    const double flops = Node(run, file.string() + ".runs").number("flops");
    laws.lowest_flops = laws.lowest_flops > 0 ? std::min(laws.lowest_flops, flops) : flops;
    laws.highest_flops = std::max(laws.highest_flops, flops);
  }
  for (const Json& warning : root.list("warnings")) laws.warnings.push_back(warning.get<std::string>());
  return laws;
}

}  // namespace esmscale::laws
