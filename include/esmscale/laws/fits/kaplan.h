// Kaplan et al. 2020's laws, each with and without an irreducible part L∞, compared by held-out error:
//   L(N) = (Nc/N)^αN      per N the run with most D
//   L(D) = (Dc/D)^αD      per D the run with the largest N
//   L(C) = (Cc/C)^αC      the frontier: points (or samples of curves) that none of the same budget and no
//                         cheaper one beats
//   L(N,D) = [(Nc/N)^(αN/αD) + Dc/D]^αD      all final points
// Fitted by the protocol of law_form.h.
#pragma once

#include "esmscale/core/enum_names.h"
#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/fits/law_form.h"
#include "esmscale/laws/points/points.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

// Which form predicts held-out points better; undecided: the gain is within one standard error of nothing.
enum class KaplanForm { pure, irreducible, undecided };

// Whether a law counts with its floor: it predicts better with it, and the floor is identified (its estimate
// has an interval).
inline bool takes_floor(KaplanForm better, bool is_identified) {
  return better == KaplanForm::irreducible && is_identified;
}

struct KaplanFit {
  std::vector<double> theta;               // of its form
  std::vector<std::vector<double>> draws;  // θ of each draw that could be fitted
  std::vector<Estimate> estimates;         // Nc, alpha_N, … and L_inf where it has one
  double objective = 0;
  double held_out_error =
      0;  // root mean square over held-out points, nats; NaN when there are too few points
};

struct KaplanLaw {
  std::string name;  // L_N, L_D, L_C, L_ND
  std::string formula;
  Observations points;  // what it was fitted to; u is ln N, ln D or ln C, v is ln D in L_ND
  KaplanFit pure;
  std::optional<KaplanFit> irreducible;  // absent with too few points for its constants
  // Mean squared held-out error of pure minus that of irreducible, and its standard error over runs, nats²;
  // NaN for one run.
  double gain = 0, gain_error = 0;
  KaplanForm better = KaplanForm::undecided;
  std::vector<std::string> warnings;

  double predict(const KaplanFit& fit, double u, double v = 0) const;
  // With the floor where takes_floor(), else without.
  const KaplanFit& best() const;
};

// θ of L(N, D) as a surface with an optimum for each budget.
ParametricLaw surface_of(const std::vector<double>& theta);

// Which final points feed L(N), L(D) and the frontier of L(C), by the rules above.
std::vector<size_t> largest_data_per_size(const PointSet& set, const std::vector<size_t>& use);
std::vector<size_t> largest_size_per_data(const PointSet& set, const std::vector<size_t>& use);
struct FrontierSample {
  size_t run;  // place in PointSet::points
  double flops, loss;
};
std::vector<FrontierSample> loss_frontier(const PointSet& set, const std::vector<size_t>& use);

// name: L_N, L_D, L_C or L_ND; std::logic_error for another. nullopt and a reason when there are fewer than
// three points for a law in one variable, six for L_ND.
std::optional<KaplanLaw> fit_kaplan(const std::string& name, const PointSet& set,
                                    const std::vector<size_t>& use, const BootstrapOptions& options,
                                    std::string& why);

// The best() of a law fitted to other points, or to fewer, from its optimum in place of all starts. nullopt
// where that does not converge, or with too few points. delta: of the Huber loss; infinite: least squares.
std::optional<ParametricLaw> refit_kaplan(const KaplanLaw& joint, const PointSet& set,
                                          const std::vector<size_t>& use, double delta = kHuberDelta);

}  // namespace esmscale::laws

namespace esmscale {

template <>
struct EnumNames<laws::KaplanForm> {
  using enum laws::KaplanForm;
  static constexpr std::pair<laws::KaplanForm, std::string_view> table[] = {
      {pure, "pure"}, {irreducible, "irreducible"}, {undecided, "undecided"}};
};

}  // namespace esmscale
