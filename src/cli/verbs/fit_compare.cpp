#include "cli/verbs/fit_compare.h"

#include "cli/planning_flags.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/difference.h"

#include <cmath>
#include <ostream>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

std::string shown(double value, const auto& show) {
  return std::isfinite(value) ? show(value) : std::string("–");
}

// `none`: the change of two numbers that are the same.
void add_row(Table& table, const char* approach, const char* what, const laws::Change& change, double none,
             const auto& show, const auto& show_change) {
  const bool is_significant =
      change.interval && (change.interval->low > none || change.interval->high < none);
  table.add({approach, what, shown(change.first, show), shown(change.second, show),
             shown(change.change, show_change),
             change.interval
                 ? text(show_change(change.interval->low), " to ", show_change(change.interval->high))
                 : "–",
             !change.interval ? "no draws"
             : is_significant ? "differ"
                              : "no difference shown"});
}

std::string text_of(const laws::LawDifference& difference) {
  Table table({"approach", "of", "first", "second", "difference", "95%", ""}, 2);
  std::string not_compared;
  const auto places = [](int decimals) { return [decimals](double v) { return fixed(v, decimals); }; };
  for (const laws::LawDifference::Row& row : difference.rows) {
    const char* name = laws::name_of(row.approach);
    if (!row.why_not.empty()) {
      not_compared += text("not compared: ", name, ": ", one_line(row.why_not), "\n");
      continue;
    }
    add_row(table, name, "a", row.exponent, 0, places(3), places(3));
    add_row(table, name, "N_opt", row.parameters, 1, human_count,
            [](double v) { return text("×", fixed(v, 2)); });
    add_row(table, name, "loss, nats", row.loss, 0, places(4), places(4));
  }
  std::string out = text("first:  ", one_line(difference.first), "\nsecond: ", one_line(difference.second),
                         "\nat C = ", scientific(difference.flops, 2), " FLOPs\n", table.str(), not_compared);
  for (const std::string& warning : difference.warnings) out += "warning: " + one_line(warning) + "\n";
  return out;
}

}  // namespace

int compare_fits(const Program& program, const std::vector<std::string>& files, const std::string& flops,
                 bool allow_mixed) {
  const laws::LawDifference difference =
      laws::difference_of(laws::read_laws(files.at(0)), laws::read_laws(files.at(1)),
                          optional_number(flops, "--flops"), allow_mixed);
  if (program.json)
    program.print(laws::to_json(difference));
  else
    program.out << text_of(difference);
  return 0;
}

}  // namespace esmscale::cli
