#include "esmscale/report/paper_tables.h"

#include "esmscale/core/csv.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/leverage.h"
#include "report/html.h"
#include "report/methods.h"
#include "report/plots/plot_data.h"
#include "report/report_tables.h"
#include "report/shown_law.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

std::string full(double value) {
  if (!std::isfinite(value)) return "";
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

void add_estimates(PaperTable& table, const std::string& law, const std::vector<laws::Estimate>& all) {
  for (const laws::Estimate& e : all)
    table.rows.push_back({law, e.name, e.is_bound ? below_text(e) : full(e.value),
                          e.has_interval ? full(e.ci95.low) : "", e.has_interval ? full(e.ci95.high) : ""});
}

template <class Fit>
void add_powers(PaperTable& table, const std::string& law, const Fit& fit) {
  add_estimates(table, law, fit.estimates);
  add_estimates(table, law + ", levelling off", levelling_estimates(fit.loss, fit.draws));
}

PaperTable constants_of(const laws::Laws& laws) {
  PaperTable table{
      "constants", "Fitted constants with 95% intervals.", {"law", "constant", "value", "low", "high"}, {}};
  if (laws.approach1) add_powers(table, "approach 1", *laws.approach1);
  if (laws.approach2) add_powers(table, "approach 2", *laws.approach2);
  if (laws.approach3) {
    add_estimates(table, "approach 3", laws.approach3->estimates);
    const laws::ParametricLaw& law = laws.approach3->law;
    const laws::Interval& left = laws.approach3->balance_by_profile;
    table.rows.push_back({"approach 3", "beta/(alpha+beta) by profile",
                          full(law.beta / (law.alpha + law.beta)), full(left.low), full(left.high)});
  }
  for (const laws::KaplanLaw& law : laws.kaplan) {
    add_estimates(table, "Kaplan " + law.name, law.pure.estimates);
    if (law.irreducible)
      add_estimates(table, "Kaplan " + law.name + " with a floor", law.irreducible->estimates);
  }
  if (laws.repeats) add_estimates(table, "repeats", laws.repeats->estimates);
  return table;
}

PaperTable comparison_of(const laws::Laws& laws) {
  PaperTable table{
      "comparison",
      "Residuals (root mean square, nats), their ratio to the noise, held-out errors, the share of the "
      "residuals' variance that follows C, N and D, the minima off their line in their errors, and Akaike's "
      "criterion of the laws that are fitted to all points.",
      {"law", "points", "constants", "residual", "ratio", "held_out_error", "trend_C", "trend_N", "trend_D",
       "off_line", "AIC"},
      {}};
  for (const laws::LackOfFit& fit : laws.lack_of_fit)
    table.rows.push_back({fit.law, text(fit.points), text(fit.constants), full(fit.rms), full(fit.ratio),
                          full(fit.held_out_error), full(fit.trend_flops), full(fit.trend_parameters),
                          full(fit.trend_tokens), full(fit.off_line), full(fit.aic)});
  return table;
}

PaperTable runs_of(const laws::Laws& laws) {
  const std::optional<ShownLaw> shown = shown_law(laws);
  PaperTable table{
      "runs",
      shown ? text("The runs, with the loss by ", shown->name, " and what is left over.") : "The runs.",
      {"run", "seed", "parameters", "tokens", "flops", "budget", "loss", "predicted", "residual"},
      {}};
  for (const laws::Point& p : laws.set.points) {
    const double residual = shown ? shown->residual_of(p) : NAN;
    table.rows.push_back({p.run, text(p.seed), full(p.parameters), full(p.tokens), full(p.flops),
                          p.budget > 0 ? full(p.budget) : "", full(p.loss), full(p.loss - residual),
                          full(residual)});
  }
  return table;
}

PaperTable sensitivity_of(const laws::Laws& laws) {
  PaperTable table{
      "sensitivity",
      "The same runs by each count of C and N; N_opt at the highest C by that count.",
      {"C", "N", "approach", "a", "a_low", "a_high", "flops", "N_opt", "N_opt_low", "N_opt_high"},
      {}};
  for (const laws::CountRow& row : laws.sensitivity) {
    const auto end = [](const laws::Estimate& e, double value) {
      return e.has_interval ? full(value) : std::string();
    };
    table.rows.push_back({std::string(enum_name(row.flop_count)), std::string(enum_name(row.parameter_count)),
                          laws::name_of(row.approach), full(row.a.value), end(row.a, row.a.ci95.low),
                          end(row.a, row.a.ci95.high), row.flops > 0 ? full(row.flops) : "",
                          full(row.parameters.value), end(row.parameters, row.parameters.ci95.low),
                          end(row.parameters, row.parameters.ci95.high)});
  }
  return table;
}

PaperTable huber_of(const laws::Laws& laws) {
  PaperTable table{"huber",
                   "The exponent and N_opt at the highest C by the Huber loss's delta; inf: least squares.",
                   {"approach", "delta", "a", "flops", "N_opt"},
                   {}};
  for (const laws::HuberRow& row : laws.huber)
    table.rows.push_back({laws::name_of(row.approach), std::isfinite(row.delta) ? full(row.delta) : "inf",
                          full(row.a), full(row.flops), full(row.parameters)});
  return table;
}

PaperTable leverages_of(const laws::Laws& laws) {
  PaperTable table{"leverage",
                   "The exponent and N_opt at the highest C without each budget and each run.",
                   {"approach", "without", "a", "N_opt"},
                   {}};
  for (const laws::Leverage& leverage : laws.leverage) {
    const std::string approach = laws::name_of(leverage.approach);
    const auto add = [&](auto& rows, const std::string& what, double a, double parameters) {
      rows.push_back({approach, what, full(a), full(parameters)});
    };
    // One page of LaTeX has room for the approaches that may be planned from.
    const laws::Planning::Verdict* verdict = laws.planning.of(leverage.approach);
    const bool is_short = !laws.planning.taken() || !verdict || verdict->is_supported;
    for (auto* rows : {&table.rows, &table.short_rows}) {
      if (rows == &table.short_rows && !is_short) continue;
      add(*rows, "nothing", leverage.a, leverage.parameters);
      for (const auto& one : leverage.budgets) add(*rows, "budget " + one.what, one.a, one.parameters);
    }
    for (const auto& one : leverage.runs) add(table.rows, one.what, one.a, one.parameters);
    for (const auto& one : laws::runs_that_move_most(leverage, is_short ? kMostRuns : 0))
      add(table.short_rows, one.what, one.a, one.parameters);
  }
  return table;
}

std::string latex(const std::string& cell) {
  constexpr std::string_view kEscaped = "&%$#_{}";
  std::string out;
  for (const char c : cell) {
    if (c == '\\') {
      out.append("\\textbackslash{}");
    } else if (c == '<') {  // the plain character is another one in TeX's fonts
      out.append("$<$");
    } else if (c == '^' || c == '~') {
      out.append("\\").append(1, c).append("{}");
    } else {
      if (kEscaped.find(c) != kEscaped.npos) out.push_back('\\');
      out.push_back(c);
    }
  }
  return out;
}

// A paper prints four digits; the CSV beside it has all.
std::string short_number(const std::string& cell) {
  char* end = nullptr;
  const double value = std::strtod(cell.c_str(), &end);
  if (cell.empty() || *end != '\0' || cell.size() < 8) return cell;
  return significant(value, 4);
}

std::string joined(const std::vector<std::string>& cells, const char* separator, auto&& show) {
  std::vector<std::string> shown;
  for (const std::string& cell : cells) shown.push_back(show(cell));
  return join(shown, separator);
}

}  // namespace

std::vector<PaperTable> paper_tables(const laws::Laws& laws) {
  std::vector<PaperTable> tables{constants_of(laws),   comparison_of(laws), runs_of(laws),
                                 sensitivity_of(laws), huber_of(laws),      leverages_of(laws)};
  std::erase_if(tables, [](const PaperTable& table) { return table.rows.empty(); });
  return tables;
}

std::string csv_of(const PaperTable& table) {
  std::string out = csv_line(table.header);
  for (const auto& row : table.rows) out += csv_line(row);
  return out;
}

std::string latex_of(const PaperTable& table) {
  const auto cell = [](const std::string& value) { return latex(short_number(value)); };
  // A table that is wider than the line is scaled down to it.
  std::string out = text("% Needs \\usepackage{booktabs,graphicx}\n\\begin{table}\n\\centering\n\\caption{",
                         latex(table.caption), "}\n\\label{tab:", table.name, "}\n",
                         "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n",
                         "\\begin{tabular}{", std::string(table.header.size(), 'l'), "}\n\\toprule\n");
  out += joined(table.header, " & ", cell) + " \\\\\n\\midrule\n";
  for (const auto& row : table.short_rows.empty() ? table.rows : table.short_rows)
    out += joined(row, " & ", cell) + " \\\\\n";
  return out + "\\bottomrule\n\\end{tabular}}\n\\end{table}\n";
}

std::string points_csv_of(const laws::PointSet& set) {
  std::string out = "parameters,tokens,loss,flops,budget,run,seed,unique_tokens\n";
  const auto known = [](double value) { return value > 0 ? full(value) : std::string(); };
  for (const laws::Point& p : set.points)
    out += csv_line(std::vector{full(p.parameters), full(p.tokens), full(p.loss), full(p.flops),
                                known(p.budget), p.run, text(p.seed), known(p.unique_tokens)});
  return out;
}

void add_paper_tables(OutputSet& files, const laws::Laws& laws) {
  files.add("points.csv", points_csv_of(laws.set));
  files.add("methods.txt", methods_text(laws));
  files.add("references.bib", references_of(laws));
  for (const PaperTable& table : paper_tables(laws)) {
    files.add("tables/" + table.name + ".csv", csv_of(table));
    files.add("tables/" + table.name + ".tex", latex_of(table));
  }
}

}  // namespace esmscale::report
