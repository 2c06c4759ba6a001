// A comparison as a verdict, a document and a page of text.
#include "esmscale/core/json.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/runs/compare.h"

#include <cmath>

namespace esmscale::study {
namespace {

constexpr size_t kCurveRows = 8, kLongestValue = 40;

std::string signed_loss(double value) {
  return text(value > 0 ? "+" : "", fixed(value, 4));
}

std::string seeds_sentence(const Comparison& comparison) {
  const std::string notable = fixed(kNotableDifference, 3);
  if (comparison.seeds_needed == 0)
    return text(
        "the noise between seeds is unknown: give folders of several seeds to learn how many a "
        "difference of ",
        notable, " nats needs");
  return text("between seeds a loss varies by ", fixed(comparison.between_seeds, 4),
              " nats; a difference of ", notable, " nats needs ", comparison.seeds_needed, " seeds an arm");
}

std::string source_of(const Difference& difference) {
  switch (difference.from) {
    case ErrorSource::seeds:
      return text("error between seeds, at least ", difference.seeds, " an arm");
    case ErrorSource::paired:
      return "paired by sequence, one seed an arm";
    case ErrorSource::unpaired:
      break;
  }
  return "errors of both losses on the holdout, not paired, one seed an arm";
}

std::string shortened(const std::string& value) {
  return value.size() <= kLongestValue ? value : value.substr(0, kLongestValue - 1) + "…";
}

std::string curve_text(const Comparison& comparison) {
  if (comparison.curve.size() < 2) return {};
  Table table({"tokens", "a", "b", "a − b"}, 0);
  const size_t step = (comparison.curve.size() + kCurveRows - 1) / kCurveRows;
  for (size_t i = (comparison.curve.size() - 1) % step; i < comparison.curve.size(); i += step) {
    const CurvePoint& p = comparison.curve[i];
    table.add({human_count(p.tokens), fixed(p.a, 4), fixed(p.b, 4), signed_loss(p.a - p.b)});
  }
  return "\nholdout loss at the same tokens\n" + table.str();
}

}  // namespace

std::string Comparison::verdict() const {
  const std::string numbers = text(
      signed_loss(difference.loss), " ± ",
      std::isfinite(difference.error) ? fixed(difference.error, 4) : "unknown", " nats (95%: ",
      std::isfinite(difference.low) ? text(signed_loss(difference.low), " to ", signed_loss(difference.high))
                                    : "unknown",
      ")");
  const bool is_clear = difference.low > 0 || difference.high < 0;
  if (!is_clear) return text("no difference is shown: a − b = ", numbers);
  const bool a_is_lower = difference.loss < 0;
  // One seed says what these two models are, not what their settings do.
  const char* what =
      difference.from == ErrorSource::seeds ? " has the lower loss" : "'s model has the lower loss";
  return text(a_is_lower ? name_a : name_b, what, ": a − b = ", numbers);
}

Json to_json(const Comparison& comparison) {
  const Difference& d = comparison.difference;
  Json differs = Json::object(), curve = Json::array();
  for (const Differing& one : comparison.differs) differs[one.key] = {one.a, one.b};
  for (const CurvePoint& p : comparison.curve)
    curve.push_back({{"tokens", p.tokens}, {"a", p.a}, {"b", p.b}, {"difference", p.a - p.b}});
  return {{"a", comparison.name_a},
          {"b", comparison.name_b},
          {"differs", std::move(differs)},
          {"difference",
           {{"loss", d.loss},
            {"standard_error", number_or_null(d.error)},
            {"seeds", d.seeds},
            {"from", enum_name(d.from)},
            {"interval", {number_or_null(d.low), number_or_null(d.high)}}}},
          {"between_seeds", number_or_null(comparison.between_seeds)},
          {"seeds_needed", comparison.seeds_needed > 0 ? Json(comparison.seeds_needed) : Json()},
          {"curve", std::move(curve)},
          {"warnings", comparison.warnings},
          {"verdict", comparison.verdict()}};
}

std::string to_text(const Comparison& comparison) {
  Table table({"differs", "a: " + comparison.name_a, "b: " + comparison.name_b}, 3);
  for (const Differing& one : comparison.differs) table.add({one.key, shortened(one.a), shortened(one.b)});
  std::string shown =
      comparison.differs.empty() ? "configuration, data and build are the same\n" : table.str();
  shown += curve_text(comparison);
  for (const std::string& warning : comparison.warnings) shown += "warning: " + one_line(warning) + "\n";
  return shown + text("\n", one_line(comparison.verdict()), "\n", source_of(comparison.difference), "; ",
                      seeds_sentence(comparison), "\n");
}

}  // namespace esmscale::study
