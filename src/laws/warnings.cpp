#include "esmscale/laws/warnings.h"

#include <algorithm>

namespace esmscale::laws {
namespace {

bool is_about(const std::string& warning, Approach approach) {
  return warning.starts_with(approach == Approach::kaplan ? "Kaplan L_ND" : name_of(approach)) ||
         warning.starts_with(name_of(approach));
}

int rank_of(const std::string& warning, std::optional<Approach> taken) {
  if (warning.starts_with("the approaches disagree") || warning.starts_with("no approach is supported"))
    return 0;
  if (taken && is_about(warning, *taken)) return 1;
  return is_about_another(warning, taken) ? 3 : 2;
}

}  // namespace

bool is_about_another(const std::string& warning, std::optional<Approach> taken) {
  if (taken && is_about(warning, *taken)) return false;
  if (warning.starts_with("Kaplan ")) return taken || !is_about(warning, Approach::kaplan);
  return taken && (warning.starts_with("approach ") || warning.starts_with("L(N,D)"));
}

void order_warnings(std::vector<std::string>& warnings, std::optional<Approach> taken) {
  std::stable_sort(warnings.begin(), warnings.end(), [&](const std::string& a, const std::string& b) {
    return rank_of(a, taken) < rank_of(b, taken);
  });
}

FoldedWarnings fold_warnings(const std::vector<std::string>& warnings, std::optional<Approach> taken) {
  FoldedWarnings folded;
  for (const std::string& warning : warnings)
    (is_about_another(warning, taken) ? folded.others : folded.first).push_back(warning);
  return folded;
}

}  // namespace esmscale::laws
