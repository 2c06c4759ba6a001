#include "esmscale/report/report.h"

#include "esmscale/core/text.h"
#include "esmscale/core/version.h"
#include "esmscale/laws/warnings.h"
#include "report/html.h"
#include "report/methods.h"
#include "report/plots/assay_plots.h"
#include "report/plots/assess_plot.h"
#include "report/plots/law_plots.h"
#include "report/plots/plot_data.h"
#include "report/report_tables.h"
#include "report/shown_law.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

std::string card(const std::string& value, const std::string& what) {
  return text("<div class=\"card\"><b>", escaped(value), "</b><span>", escaped(what), "</span></div>");
}

std::string with_interval(const laws::Estimate& e, int decimals) {
  return e.has_interval ? text("95%: ", fixed(e.ci95.low, decimals), " to ", fixed(e.ci95.high, decimals))
                        : "no interval";
}

// The exponents of an approach; nothing where it is null.
std::string exponent_cards(const laws::Laws& laws, laws::Approach approach) {
  const std::string name = label_of(laws.planning, approach);
  const auto both = [&](const laws::Estimate& a, const laws::Estimate& b) {
    if (!std::isfinite(a.value)) return card("no optimum", name + ": no budget has a best N");
    return card(text("C^", fixed(a.value, 2)), text("N_opt, ", name, "; ", with_interval(a, 2))) +
           card(text("C^", fixed(b.value, 2)), text("D_opt, ", name, "; ", with_interval(b, 2)));
  };
  if (approach == laws::Approach::one && laws.approach1)
    return both(laws.approach1->estimates[0], laws.approach1->estimates[1]);
  if (approach == laws::Approach::two && laws.approach2)
    return both(laws.approach2->estimates[0], laws.approach2->estimates[1]);
  if (approach == laws::Approach::three && laws.approach3)
    return both(laws.approach3->estimate("a"), laws.approach3->estimate("b"));
  return "";
}

// In the order of planning.
std::string cards(const laws::Laws& laws) {
  std::string out = "<div class=\"cards\">" + card(text(laws.set.points.size()), "points");
  for (const laws::Approach approach : laws::kPlanningOrder) out += exponent_cards(laws, approach);
  if (laws.approach3) {
    const laws::Estimate& e = laws.approach3->estimate("E");
    const std::string name = label_of(laws.planning, laws::Approach::three);
    out += e.has_interval ? card(fixed(e.value, 3), text("E, nats, ", name, "; ", with_interval(e, 2)))
                          : card(laws.approach3->floor_text(), "nats, " + name);
  }
  return out + "</div>\n";
}

std::string head(const laws::Laws& laws) {
  const laws::Basis& b = laws.set.basis;
  std::vector<std::string> facts{
      text("points from ", b.source), text("N: ", enum_name(b.parameter_count), " count"),
      text("C: ", name_of(b.flop_count), " count"), text("loss: ", enum_name(b.loss), ", nats")};
  if (!b.dataset.empty()) facts.push_back("training set " + b.dataset);
  if (!b.holdout.empty())
    facts.push_back("holdout " + b.holdout + (b.holdout_label.empty() ? "" : " (" + b.holdout_label + ")"));
  if (!b.alphabet.empty()) facts.push_back(b.alphabet);
  return text("<h1>Scaling laws</h1><p class=\"soft\">", escaped(join(facts, " · ")), "</p>\n");
}

std::string doubts(const laws::Laws& laws) {
  std::string out;
  const laws::FoldedWarnings warnings = laws::fold_warnings(laws.warnings, laws.planning.taken());
  if (!warnings.first.empty())
    out += "<div class=\"warnings\"><h3>What these points do not carry</h3>" + bullets(warnings.first) +
           "</div>\n";
  if (!warnings.others.empty())
    out += text("<details><summary>", warnings.others.size(),
                " about laws that are not planned from</summary>", bullets(warnings.others), "</details>\n");
  std::vector<std::string> nulls;
  for (const auto& [part, why] : laws.why) nulls.push_back(text(part, ": null, because ", why));
  if (!nulls.empty()) out += section("Parts that are null", bullets(nulls));
  return out;
}

std::string assess_figure(const laws::Laws& laws) {
  const std::optional<Plot> plot = assess_plot(study::assess(laws::law_file(laws)));
  return plot ? figures_with_files({*plot}) : "";
}

std::string optional_section(const std::string& title, const std::string& lead, const std::string& table) {
  return table.empty() ? "" : section(title, (lead.empty() ? "" : paragraph(lead)) + table);
}

std::string noise_sentence(const laws::Laws& laws) {
  if (laws.noise.degrees == 0) return "There are no replicates, so the noise between seeds is not known.";
  if (laws.noise.largest.empty()) return "Replicates do not differ.";
  const laws::Point& most = laws.set.points[laws.noise.largest.front()];
  std::vector<std::string> names;
  for (const size_t i : laws.noise.largest) names.push_back(laws.set.points[i].run);
  return text("Between seeds ln L varies with a standard deviation of ", significant(laws.noise.sigma, 2),
              " (", laws.noise.degrees, " degrees of freedom). The runs of ", human_count(most.parameters),
              " parameters and ", human_count(most.tokens), " tokens have ", fixed(100 * laws.noise.share, 0),
              "% of its variance: ", join(names, ", "), ".");
}

std::string planning_sentence(const laws::Laws& laws) {
  const std::optional<laws::Approach> taken = laws.planning.taken();
  if (!taken) return "None: no approach is supported by these points.";
  return text("Planning takes ", laws::name_of(*taken), ": ", laws.planning.of(*taken)->why, ".");
}

using Trends = std::vector<study::AssayTrend>;

std::string page_of(const laws::Laws& laws, const std::vector<Plot>& plots, const Trends& trends) {
  std::string body = head(laws) + cards(laws) + doubts(laws);
  body += optional_section("Which approach is planned from", planning_sentence(laws), approaches_table(laws));
  body += section(
      "Pictures",
      paragraph(
          "Bands hold 80% of the bootstrap. Hover or tap a point for its run. A law that the points do not "
          "support is dashed and has no band. Published laws are for other data and count N their way; "
          "one marked 'slope only' has no coefficient and is drawn through the middle of your frontier.") +
          figures_with_files(plots));
  if (!trends.empty())
    body +=
        section("What a nat is worth downstream", figures_with_files(assay_plots(trends, laws.set.basis)) +
                                                      assay_tables(trends, laws.set.basis));
  body += optional_section(
      "Constants",
      text("Intervals: ", laws.options.draws, " bootstrap draws over whole runs, seed ", laws.options.seed,
           "; approach 2 draws noise about its fitted profiles. ", noise_sentence(laws)),
      constants_table(laws));
  body += optional_section(
      "Do the laws fit?",
      "The noise of the points is " +
          (std::isfinite(laws.point_noise.sigma) ? text(significant(laws.point_noise.sigma, 2), " nats: ")
                                                 : std::string()) +
          laws.point_noise.from +
          ". Residuals by points less constants; times the noise: both by scales that a few outliers do not "
          "move. A law whose residuals are more than twice the noise is refuted. Trends: the share of the "
          "residuals' variance that follows "
          "C, N or D.",
      comparison_table(laws));
  body += optional_section(
      "What the count changes",
      "The same runs by each count of C and of N: the terms that 6·N·D and Kaplan's N leave out. N_opt is "
      "that at the highest C of the points by the count itself.",
      sensitivity_table(laws));
  body += optional_section("What the Huber loss changes",
                           "The same points by another δ, from the optima of the fit, whose own is 0.001.",
                           huber_table(laws));
  body += optional_section("Which runs and budgets make the answer",
                           "Every budget left out, and of the runs those that move N_opt most.",
                           leverage_table(laws));
  body += section("Is there a plateau?", paragraph(laws.plateau.verdict) + frontier_table(laws));
  body += optional_section("Floor or pure power law", "Root mean square error on held-out runs, nats.",
                           kaplan_table(laws));
  body += optional_section("IsoFLOP minima", "", minima_table(laws));
  body += optional_section("Beside published frontiers", "", published_table(laws));
  body += section(
      "Are known models compute-optimal?",
      paragraph("Published models at their N and D against these laws and a published one. Repeated data is "
                "counted as seen; nats lost only where the objective is masked language modelling.") +
          assess_figure(laws) + known_models_table(laws));
  body += section("Methods", paragraph(methods_text(laws)) +
                                 "<details><summary>References as BibTeX</summary><pre>" +
                                 escaped(references_of(laws)) + "</pre></details>\n");
  body += section("Runs", runs_table(laws));
  body += optional_section("Left out", "", excluded_table(laws));
  return page("Scaling laws", body + text("<footer>esmscale ", version(), " (", revision(), ")</footer>"));
}

}  // namespace

std::string report_page(const laws::Laws& laws, const Trends& trends) {
  return page_of(laws, law_plots(laws), trends);
}

void add_report(OutputSet& files, const laws::Laws& laws, const Trends& trends) {
  const std::vector<Plot> plots = law_plots(laws);
  const std::vector<Plot> of_assays = assay_plots(trends, laws.set.basis);
  // An earlier fit may have left what this one has no ground to draw.
  for (const std::string name :
       {"residuals", "residuals_parameters", "residuals_tokens", "isoflop", "n_opt", "d_opt"})
    if (std::none_of(plots.begin(), plots.end(), [&](const Plot& plot) { return plot.name() == name; }))
      files.remove(name + ".svg");
  for (size_t i = trends.size(); i < kDrawnAssays; ++i)
    for (const char* x : {"loss", "parameters", "tokens", "flops"})
      files.remove(text("spearman_", i, "_", x, ".svg"));
  for (const std::vector<Plot>* some : {&plots, &of_assays})
    for (const Plot& plot : *some) files.add(plot.name() + ".svg", plot.svg(true));
  const std::optional<Plot> of_models = assess_plot(study::assess(laws::law_file(laws)));
  if (of_models)
    files.add(of_models->name() + ".svg", of_models->svg(true));
  else
    files.remove("assess.svg");
  files.add("report.html", page_of(laws, plots, trends));
}

}  // namespace esmscale::report
