// Every law here is a smooth ln L(ln N, ln D; θ), fitted by the protocol of Hoffmann et al. 2022 (Appendix
// D.3): minimise the SUM over points of Huber_δ(predicted ln L − ln L), δ = 1e-3.
#pragma once

#include "esmscale/laws/points/points.h"

#include <cstdint>
#include <string>
#include <vector>

namespace esmscale::laws {

// Predicts ln L at u, v (what they are, the form says) and writes ∂ ln L / ∂θ.
struct LawForm {
  size_t size;  // of θ
  double (*log_loss)(const double* theta, double u, double v, double* gradient);
};

// θ = (a, b, e, α, β): L = E + A/N^α + B/D^β with A = e^a, B = e^b, E = e^e; u = ln N, v = ln D.
extern const LawForm parametric_form;
// The same with α = s·(1 − x), β = s·x for θ = (a, b, e, s, x).
extern const LawForm balanced_form;
// θ = (k, α): L = e^k / X^α; u = ln X.
extern const LawForm power_form;
// θ = (k, α, l): L = e^l + e^k / X^α.
extern const LawForm offset_power_form;
// θ = (p, r, q, s): L = [e^p / N^r + e^q / D]^s; Kaplan's L(N, D) with r = αN/αD, s = αD.
extern const LawForm joint_form;
// θ = (p, r, q, s, l): e^l beside it.
extern const LawForm offset_joint_form;

inline constexpr double kHuberDelta = 1e-3;

// What a form is fitted to, one entry a point; run is the place of the point's run among those a draw
// reweights.
struct Observations {
  std::vector<double> u, v, log_loss;
  std::vector<size_t> run;
  double delta = kHuberDelta;  // infinite: least squares

  void add(double u_value, double v_value, double loss, size_t run_index);
  size_t size() const { return u.size(); }
};

// A floor (E, L∞) below this share of the lowest loss lies at its bound, zero.
inline constexpr double kAtFloorBound = 1e-3;

struct FormFit {
  std::vector<double> theta;
  double objective = 0;
};

// The sum above, each point's term times run_weight[run]; an empty run_weight is all ones.
double huber_sum(const LawForm& form, const Observations& points, const std::vector<double>& run_weight,
                 const double* theta, double* gradient);

// The optima reached from all starts, best first, without those that predict the same losses (to 1e-4) as a
// better one and those more than twice as bad: the optimum and its runners-up, `most` in all. Empty: no start
// converged. Deterministic, whatever the number of threads.
std::vector<FormFit> fit_form(const LawForm& form, const Observations& points,
                              const std::vector<std::vector<double>>& starts, int threads, size_t most = 4);

// The best fit of a reweighted set from the given starts; θ is empty when none converged.
FormFit refit_form(const LawForm& form, const Observations& points, const std::vector<double>& run_weight,
                   const std::vector<FormFit>& starts);

// The optimum with θ[held] held at `value`, from the given starts; θ is empty when none converged.
FormFit refit_with(const LawForm& form, const Observations& points, const std::vector<FormFit>& starts,
                   size_t held, double value);

// How much larger than the least sum one may be before a likelihood-ratio test at 95% (one constant) rejects
// it. Where residuals are larger than δ the sum is that of their sizes, as for Laplace noise: n·2·ln of the
// ratio is the statistic; below, n·ln of it, as for normal noise.
double largest_ratio(double least_sum, size_t points);

double predict_loss(const LawForm& form, const std::vector<double>& theta, double u, double v);

}  // namespace esmscale::laws
