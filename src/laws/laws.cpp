#include "esmscale/laws/laws.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/laws/warnings.h"

#include <cmath>

namespace esmscale::laws {
namespace {

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Points of at most as many epochs as the basis allows; where none was repeated, all.
std::vector<size_t> points_within_epochs(const PointSet& set, std::vector<std::string>& warnings) {
  const double most = set.basis.most_epochs;
  std::vector<size_t> use;
  size_t as_new = 0;
  for (size_t i = 0; i < set.points.size(); ++i) {
    if (is_repeated(set.points[i], most)) continue;
    use.push_back(i);
    as_new += is_repeated(set.points[i]);
  }
  if (use.size() < set.points.size())
    warnings.push_back(text(set.points.size() - use.size(), " points of more than ", epochs_text(most),
                            " are left out of all laws except that of repeats"));
  if (as_new > 0)
    warnings.push_back(text(as_new, " points of more than one epoch count as new data, as asked (up to ",
                            epochs_text(most), ")"));
  return use;
}

void warn_of_noise(Laws& laws) {
  if (laws.noise.degrees == 0)
    laws.warnings.push_back(
        "no replicates: the noise between seeds is not known (2 or 3 seeds at a minimum are advised)");
}

// What bears on the answer comes first: whether the approaches agree, and what is planned from.
void warn_of_planning(Laws& laws) {
  const LawFile file = law_file(laws);
  std::vector<std::string> first;
  if (const std::string apart = disagreement(file, std::sqrt(file.lowest_flops * file.highest_flops));
      !apart.empty())
    first.push_back(apart);
  if (!laws.planning.taken())
    first.push_back("no approach is supported for planning: " + laws.planning.reasons());
  laws.warnings.insert(laws.warnings.begin(), first.begin(), first.end());
  order_warnings(laws.warnings, laws.planning.taken());
}

// The frontier of published constants under C = 6ND: any two budgets give it.
PublishedFrontier by_constants(const char* name, const char* source, const ParametricLaw& law) {
  const FrontierLaws frontier = frontier_laws(law, {}, 1e18, 1e22);
  return {name,
          source,
          frontier.parameters.exponent,
          frontier.tokens.exponent,
          frontier.parameters.coefficient,
          frontier.tokens.coefficient};
}

}  // namespace

const KaplanLaw* Laws::find_kaplan(const std::string& name) const {
  for (const KaplanLaw& law : kaplan)
    if (law.name == name) return &law;
  return nullptr;
}

Laws fit_laws(PointSet set, const BootstrapOptions& options) {
  if (set.points.size() < 2)
    throw Error({.where = set.basis.source,
                 .expected = "at least two points to fit",
                 .found = text(set.points.size(), " after ", set.excluded.size(), " were left out")});
  Laws laws;
  laws.set = std::move(set);
  laws.options = options;
  laws.warnings = laws.set.warnings;
  laws.use = points_within_epochs(laws.set, laws.warnings);
  laws.noise = seed_noise(laws.set.points);

  std::string why;
  const auto note = [&](const std::string& part, bool is_there) {
    if (!is_there) laws.why[part] = why;
  };
  laws.approach3 = fit_approach3(laws.set, laws.use, options, why);
  note("approach3", laws.approach3.has_value());
  laws.profiles = fit_profiles(laws.set, laws.use);
  laws.approach2 = fit_approach2(laws.set, laws.use, options, why);
  note("approach2", laws.approach2.has_value());
  if (laws.approach2) laws.profiles = laws.approach2->profiles;
  laws.point_noise = point_noise(laws.set, laws.profiles);
  laws.approach1 = fit_approach1(laws.set, laws.use, options, why);
  note("approach1", laws.approach1.has_value());
  for (const char* name : {"L_N", "L_D", "L_C", "L_ND"}) {
    auto law = fit_kaplan(name, laws.set, laws.use, options, why);
    note(text("kaplan.", name), law.has_value());
    if (!law) continue;
    laws.kaplan.push_back(std::move(*law));
  }
  laws.repeats = fit_repeats(laws.set, laws.approach3, options, why);
  note("repeats", laws.repeats.has_value());

  if (laws.approach3) append(laws.warnings, laws.approach3->warnings);
  if (laws.approach2) append(laws.warnings, laws.approach2->warnings);
  if (laws.approach1) append(laws.warnings, laws.approach1->warnings);
  if (laws.repeats) append(laws.warnings, laws.repeats->warnings);
  warn_of_noise(laws);
  for (const KaplanLaw& law : laws.kaplan) append(laws.warnings, law.warnings);
  laws.lack_of_fit = lack_of_fit(laws.set, laws.use, laws.point_noise, laws.profiles, laws.approach1,
                                 laws.approach2, laws.approach3, laws.kaplan);
  laws.planning = judge(laws);
  const Planning::Verdict& three = *laws.planning.of(Approach::three);
  laws.plateau = test_plateau(laws.set, laws.use, laws.approach3, laws.kaplan,
                              three.is_supported ? std::string() : three.why);
  warn_of_planning(laws);
  return laws;
}

const std::vector<PublishedFrontier>& published_frontiers() {
  static const std::vector<PublishedFrontier> published{
      {"Kaplan et al. 2020", "text; N without embeddings, N = 1.3e9 (C/8.64e19)^0.73; arXiv 2001.08361", 0.73,
       0.27, 1.3e9 * std::pow(8.64e19, -0.73), std::pow(8.64e19, 0.73) / (6 * 1.3e9)},
      {"Hoffmann et al. 2022, approach 1", "text; arXiv 2203.15556", 0.50, 0.50},
      {"Hoffmann et al. 2022, approach 2", "text; arXiv 2203.15556", 0.49, 0.51},
      {"Hoffmann et al. 2022, approach 3", "text; arXiv 2203.15556", 0.46, 0.54},
      by_constants("Hoffmann et al. 2022, constants",
                   "text; E 1.69, A 406.4, B 410.7, alpha 0.34, beta 0.28; arXiv 2203.15556",
                   {.E = 1.69, .A = 406.4, .B = 410.7, .alpha = 0.34, .beta = 0.28}),
      by_constants(
          "Besiroglu et al. 2024",
          "text; Hoffmann's points fitted again: E 1.8172, A 482.01, B 2085.43, alpha 0.3478, beta 0.3658; "
          "arXiv 2404.10102",
          {.E = 1.8172, .A = 482.01, .B = 2085.43, .alpha = 0.3478, .beta = 0.3658}),
      {"Serrano et al. 2024", "protein MLM; arXiv 2406.07249", 0.27, 0.71},
      {"Cheng et al. 2024", "protein MLM; exponents as the paper states them, arXiv 2411.02142", 0.776,
       0.230},
      {"Cheng et al. 2024, repository",
       "protein MLM; N = 1.365e-7 C^0.7598, D = 6.149e5 C^0.2561, valid 1e18 to 1e21", 0.7598, 0.2561,
       1.365e-7, 6.149e5}};
  return published;
}

}  // namespace esmscale::laws
