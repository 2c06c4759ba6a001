// The compute-optimal frontier: for C FLOPs, the N and D of the lowest loss.
#pragma once

#include "esmscale/laws/points/flop_ratio.h"

#include <vector>

namespace esmscale::laws {

// L = E + (A/N^α + B/D^β)^power: Hoffmann et al. 2022, equation 2, with power 1; Kaplan et al. 2020's L(N, D)
// with β = 1 and power αD. The power moves no optimum.
struct ParametricLaw {
  double E = 0, A = 0, B = 0, alpha = 0, beta = 0;
  // False where the points do not show both terms, or where the best N of their budgets lies more than ten
  // times outside their sizes: then no frontier is to be had.
  bool has_frontier = true;
  double power = 1;

  double loss(double parameters, double tokens) const;
  double slope_parameters(double parameters) const;  // ∂L/∂lnN, of a law with power 1
  double slope_tokens(double tokens) const;          // ∂L/∂lnD, likewise
  // The D that brings a model of N parameters to a loss; infinite where none does.
  double tokens_for(double loss, double parameters) const;
  // The N at which ∂L/∂lnN = ∂L/∂lnD for these tokens: the frontier under C = 6ND.
  double balanced_parameters(double tokens) const;
};

// Both terms fall, and there is a frontier: without that a budget has no best N.
bool has_optimum(const ParametricLaw& law);

struct Optimum {
  double flops = 0, parameters = 0, tokens = 0, loss = 0;
};

// Under 6ND the closed form N = G·(C/6)^(β/(α+β)), D = (C/6)/N, G = (αA/(βB))^(1/(α+β)); otherwise L(N, D)
// minimised numerically subject to 6·N·D·ratio(N) = C. NaN where the law has none, or where the minimum lies
// at the bounds of the search (N = 10 and C/60).
Optimum optimum(const ParametricLaw& law, const FlopRatio& ratio, double flops);

// The N ≥ least with 6·N·tokens·ratio(N) = flops.
double parameters_for(const FlopRatio& ratio, double flops, double tokens, double least);

// The best D is at most max_tokens: where data runs out the rest of the budget goes to N.
Optimum optimum_with_tokens_at_most(const ParametricLaw& law, const FlopRatio& ratio, double flops,
                                    double max_tokens);

// y = coefficient · C^exponent.
struct PowerLaw {
  double coefficient = 0, exponent = 0;
  double at(double flops) const;
};

// Least squares of ln y on ln x, each point with its weight; no weights: all the same. At least two different
// x.
PowerLaw fit_power_law(const std::vector<double>& x, const std::vector<double>& y,
                       std::vector<double> weights = {});

// N_opt ∝ C^a and D_opt ∝ C^b over [low, high] FLOPs, as the chord in logarithms: exact under 6ND at any
// ends. NaN where the law has no optimum.
struct FrontierLaws {
  PowerLaw parameters, tokens;
};
FrontierLaws frontier_laws(const ParametricLaw& law, const FlopRatio& ratio, double low, double high);

}  // namespace esmscale::laws
