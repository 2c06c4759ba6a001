#include "report/report_tables.h"

#include "esmscale/core/text.h"
#include "esmscale/laws/leverage.h"
#include "esmscale/report/plan_text.h"
#include "report/html.h"
#include "report/plots/plot_data.h"
#include "report/shown_law.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

std::string interval_text(const laws::Estimate& e, const laws::Interval& interval) {
  return e.has_interval ? text(significant(interval.low, 4), " to ", significant(interval.high, 4)) : "–";
}

void add_constants(HtmlTable& table, const std::string& part, const std::string& formula,
                   const std::vector<laws::Estimate>& estimates) {
  for (const laws::Estimate& e : estimates)
    table.add({part, e.name, e.is_bound ? below_text(e) : significant(e.value),
               e.is_bound ? "by profile" : interval_text(e, e.ci95), interval_text(e, e.ci80), formula});
}

// Where the minima level off by the second form of the loss.
template <class Fit>
void add_levelling(HtmlTable& table, const std::string& part, const Fit& fit) {
  add_constants(table, part,
                text("L_min = L_inf + G_L·C^−alpha_L",
                     fit.loss.levelling == 1 ? ", as the minima reject a power law" : ", or a power law"),
                levelling_estimates(fit.loss, fit.draws));
}

}  // namespace

std::string constants_table(const laws::Laws& laws) {
  HtmlTable table({"part", "constant", "value", "95% interval", "80% interval", "formula"}, 2, true);
  const char* powers = "N_opt = G_N·C^a, D_opt = G_D·C^b";
  if (laws.approach3) {
    const auto& all = laws.approach3->estimates;
    add_constants(table, "approach 3", "L = E + A/N^alpha + B/D^beta", {all.begin(), all.begin() + 5});
    add_constants(table, "approach 3", powers, {all.begin() + 5, all.end()});
    const laws::ParametricLaw& law = laws.approach3->law;
    const laws::Interval& left = laws.approach3->balance_by_profile;
    table.add({"approach 3", "β/(α + β), by profile", significant(law.beta / (law.alpha + law.beta)),
               text(significant(left.low, 4), " to ", significant(left.high, 4)), "–", "a where C = 6ND"});
  }
  if (laws.approach2) {
    add_constants(table, "approach 2", powers, laws.approach2->estimates);
    add_levelling(table, "approach 2", *laws.approach2);
  }
  if (laws.approach1) {
    add_constants(table, "approach 1", powers, laws.approach1->estimates);
    add_levelling(table, "approach 1", *laws.approach1);
  }
  for (const laws::KaplanLaw& law : laws.kaplan) {
    add_constants(table, "Kaplan " + law.name, law.formula, law.pure.estimates);
    if (law.irreducible)
      add_constants(table, "Kaplan " + law.name + " + L∞",
                    "L_inf + " + law.formula.substr(law.formula.find("= ") + 2), law.irreducible->estimates);
  }
  if (laws.repeats)
    add_constants(table, "repeats", "D' = U·[1 + R*·(1 − e^(−(D/U−1)/R*))]", laws.repeats->estimates);
  return table.empty() ? "" : table.html();
}

std::string comparison_table(const laws::Laws& laws) {
  HtmlTable table({"law", "points", "constants", "residual, nats", "times the noise", "held-out error, nats",
                   "trend in C", "in N", "in D", "minima off their line", "AIC"});
  const auto share = [](double v) { return std::isfinite(v) ? fixed(100 * v, 0) + "%" : "–"; };
  for (const laws::LackOfFit& fit : laws.lack_of_fit)
    table.add({fit.law, text(fit.points), text(fit.constants), significant(fit.rms, 3),
               std::isfinite(fit.ratio) ? fixed(fit.ratio, 2) : "–",
               std::isfinite(fit.held_out_error) ? significant(fit.held_out_error, 3) : "–",
               share(fit.trend_flops), share(fit.trend_parameters), share(fit.trend_tokens),
               std::isfinite(fit.off_line) ? text(fixed(fit.off_line, 1), " times their errors") : "–",
               std::isfinite(fit.aic) ? fixed(fit.aic, 1) : "–"});
  return table.empty() ? "" : table.html();
}

std::string approaches_table(const laws::Laws& laws) {
  const laws::LawFile file = laws::law_file(laws);
  const double middle = std::sqrt(file.lowest_flops * file.highest_flops);
  std::vector<std::string> header{"approach"};
  for (const double flops : {file.lowest_flops, middle, file.highest_flops})
    header.insert(header.end(), {text("N_opt at ", scientific(flops, 1)), "loss"});
  header.push_back("the points support it, or why not");
  HtmlTable table(header, 1, true);
  for (const laws::Planning::Verdict& verdict : laws.planning.verdicts) {
    std::vector<std::string> cells{laws::name_of(verdict.approach)};
    for (const double flops : {file.lowest_flops, middle, file.highest_flops}) {
      const laws::Optimum best = file.optimum(verdict.approach, flops);
      cells.push_back(std::isfinite(best.parameters) ? human_count(best.parameters) : "–");
      cells.push_back(std::isfinite(best.loss) ? fixed(best.loss, 4) : "–");
    }
    cells.push_back((verdict.is_supported ? "yes: " : "no: ") + verdict.why);
    table.add(std::move(cells));
  }
  return table.empty() ? "" : table.html();
}

std::string sensitivity_table(const laws::Laws& laws) {
  HtmlTable table({"C", "N", "approach", "a (95%)", "at C =", "N_opt (95%)", "null because"}, 3, true);
  for (const laws::CountRow& row : laws.sensitivity) {
    const auto cell = [](const laws::Estimate& e, const auto& show) {
      if (!std::isfinite(e.value)) return std::string("–");
      return show(e.value) +
             (e.has_interval ? text(" (", show(e.ci95.low), " to ", show(e.ci95.high), ")") : "");
    };
    table.add({name_of(row.flop_count), std::string(enum_name(row.parameter_count)),
               laws::name_of(row.approach), cell(row.a, [](double v) { return fixed(v, 3); }),
               row.flops > 0 ? scientific(row.flops, 1) : "–", cell(row.parameters, human_count), row.why});
  }
  return table.empty() ? "" : table.html();
}

std::string huber_table(const laws::Laws& laws) {
  HtmlTable table({"approach", "δ", "a", "at C =", "N_opt"}, 1);
  for (const laws::HuberRow& row : laws.huber)
    table.add({label_of(laws.planning, row.approach),
               std::isfinite(row.delta) ? significant(row.delta, 1) : "least squares",
               std::isfinite(row.a) ? fixed(row.a, 3) : "–", scientific(row.flops, 1),
               std::isfinite(row.parameters) ? human_count(row.parameters) : "–"});
  return table.empty() ? "" : table.html();
}

std::string leverage_table(const laws::Laws& laws) {
  HtmlTable table({"approach", "without", "a", "N_opt at the highest C", "times"}, 2);
  for (const laws::Leverage& leverage : laws.leverage) {
    const auto add = [&](const std::string& what, double a, double parameters) {
      table.add({laws::name_of(leverage.approach), what, std::isfinite(a) ? fixed(a, 3) : "null",
                 std::isfinite(parameters) ? human_count(parameters) : "null",
                 std::isfinite(parameters) ? fixed(parameters / leverage.parameters, 2) : "–"});
    };
    add("nothing", leverage.a, leverage.parameters);
    for (const auto& one : leverage.budgets) add("budget " + one.what, one.a, one.parameters);
    const auto runs = laws::runs_that_move_most(leverage, kMostRuns);
    for (const auto& one : runs) add(one.what, one.a, one.parameters);
  }
  return table.empty() ? "" : table.html();
}

std::string kaplan_table(const laws::Laws& laws) {
  HtmlTable table(
      {"law", "points", "held-out error, power law", "with L∞", "gain ± error (nats²)", "better"});
  for (const laws::KaplanLaw& law : laws.kaplan)
    table.add({law.name, text(law.points.size()), significant(law.pure.held_out_error, 3),
               law.irreducible ? significant(law.irreducible->held_out_error, 3) : "–",
               law.irreducible ? text(significant(law.gain, 2), " ± ", significant(law.gain_error, 2)) : "–",
               std::string(enum_name(law.better))});
  return table.empty() ? "" : table.html();
}

std::string frontier_table(const laws::Laws& laws) {
  HtmlTable table({"C (FLOPs)", "N_opt", "D_opt", "D/N", "loss", "above E", "∂L/∂lnN", "∂L/∂lnD"}, 0);
  for (const auto& row : laws.plateau.frontier)
    table.add({scientific(row.optimum.flops, 1), human_count(row.optimum.parameters),
               human_count(row.optimum.tokens), human_count(row.optimum.tokens / row.optimum.parameters),
               fixed(row.optimum.loss, 4), fixed(row.above_floor, 4), fixed(row.slope_parameters, 4),
               fixed(row.slope_tokens, 4)});
  return table.empty() ? "" : table.html();
}

std::string minima_table(const laws::Laws& laws) {
  HtmlTable table({"budget (FLOPs)", "runs", "N_opt", "95% interval", "draws inside the sizes", "D_opt",
                   "loss", "c", "left out because"},
                  0, true);
  for (const laws::IsoflopProfile& p : laws.profiles) {
    if (!p.rejected.empty()) {
      table.add({scientific(p.budget, 2), text(p.points.size()), "–", "–", "–", "–", "–", "–", p.rejected});
      continue;
    }
    const laws::Estimate& e = p.log_parameters;
    table.add({scientific(p.budget, 2), text(p.points.size()), human_count(p.minimum.parameters),
               e.has_interval
                   ? text(human_count(std::exp(e.ci95.low)), " to ", human_count(std::exp(e.ci95.high)))
                   : "–",
               laws.approach2 && !laws.approach2->draws.empty()
                   ? text(p.draws_inside, " of ", laws.approach2->draws.size())
                   : "–",
               human_count(p.minimum.tokens), fixed(p.minimum.loss, 4), fixed(p.parabola.curvature, 4), ""});
  }
  return table.empty() ? "" : table.html();
}

std::string published_table(const laws::Laws& laws) {
  HtmlTable table(
      {"frontier", "data and source", "a (N_opt ∝ C^a)", "b (D_opt ∝ C^b)", "N_opt at the highest C"}, 2);
  const laws::LawFile file = laws::law_file(laws);
  const auto count = [](double n) { return std::isfinite(n) && n > 0 ? human_count(n) : "–"; };
  const auto own = [&](laws::Approach approach, const std::vector<laws::Estimate>& estimates) {
    std::string cells[2];
    for (const laws::Estimate& e : estimates)
      for (const int i : {0, 1})
        if (e.name == (i == 0 ? "a" : "b"))
          cells[i] =
              (std::isfinite(e.value) ? fixed(e.value, 3) : "–") +
              (e.has_interval ? text(" (", fixed(e.ci95.low, 3), " to ", fixed(e.ci95.high, 3), ")") : "");
    table.add({label_of(laws.planning, approach), "these points", cells[0], cells[1],
               count(file.optimum(approach, file.highest_flops).parameters)});
  };
  if (laws.approach1) own(laws::Approach::one, laws.approach1->estimates);
  if (laws.approach2) own(laws::Approach::two, laws.approach2->estimates);
  if (laws.approach3) own(laws::Approach::three, laws.approach3->estimates);
  for (const laws::PublishedFrontier& p : laws::published_frontiers())
    table.add({p.name, p.source, significant(p.a, 3), significant(p.b, 3),
               count(p.coefficient_parameters * std::pow(file.highest_flops, p.a))});
  return table.html();
}

std::string known_models_table(const laws::Laws& laws) {
  HtmlTable table(placement_header(), 2);
  const study::Assessment assessment = study::assess(laws::law_file(laws));
  for (const study::ModelPlacement& placement : assessment.placements) table.add(placement_cells(placement));
  return paragraph(assessment.sentence) + table.html() +
         (assessment.compute_lost_from.empty() ? "" : paragraph(assessment.compute_lost_from)) +
         "<details><summary>Where D comes from</summary>" + bullets(placement_notes()) + "</details>";
}

std::string runs_table(const laws::Laws& laws) {
  const std::optional<ShownLaw> shown = shown_law(laws);
  HtmlTable table({"run", "N", "D", "C (FLOPs)", "D/N", "epochs", "budget", "seed", "loss",
                   shown ? "by " + shown->name : "predicted", "residual"});
  const auto nats = [](double value) { return std::isfinite(value) ? fixed(value, 4) : "–"; };
  for (const laws::Point& p : laws.set.points) {
    const double residual = shown ? shown->residual_of(p) : NAN;
    table.add({p.run, human_count(p.parameters), human_count(p.tokens), scientific(p.flops, 2),
               significant(p.tokens / p.parameters, 3), fixed(p.epochs(), p.unique_tokens > 0 ? 1 : 0),
               p.budget > 0 ? scientific(p.budget, 1) : "–", text(p.seed), fixed(p.loss, 4),
               nats(p.loss - residual), nats(residual)});
  }
  return table.html();
}

std::string excluded_table(const laws::Laws& laws) {
  HtmlTable table({"run", "left out because"}, 2);
  for (const auto& e : laws.set.excluded) table.add({e.run, e.why});
  return table.empty() ? "" : table.html();
}

}  // namespace esmscale::report
