// The lowest loss of each C along the frontier, by two forms: a power law, and one that levels off.
#pragma once

#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/frontier.h"

#include <cstddef>
#include <span>
#include <vector>

namespace esmscale::laws {

// A few minima over two decades rarely say which form holds, and beyond them the forms part. Then the
// estimate is their mean, and half of the draws take each, so an interval covers both. Where six losses or
// more reject the power law by an F test at 95%, only the other counts.
struct FrontierLoss {
  PowerLaw falling{};  // L = G·C^−α; coefficient 0: no loss is known
  double floor = 0;    // L = floor + G·C^−α; 0: the minima do not level off, and both forms are the same
  PowerLaw above_floor{};  // L − floor
  double levelling = 0.5;  // weight of the second form in at(): a half, or 1

  bool is_known() const { return falling.coefficient > 0; }
  double at(double flops) const;  // nats; NaN where none is known
  double at_levelling_off(double flops) const;
};

// Least squares: of ln L for the power law, of L for the other, whose exponent lies between that of the power
// law and −2. With fewer than three C, or losses that do not bend upwards, the second form is the first.
// independent: how many of the losses are, for the F test.
FrontierLoss fit_frontier_loss(const std::vector<double>& flops, const std::vector<double>& loss,
                               size_t independent);

// alpha_L, G_L, and of the form that levels off floor, alpha and G: as a draw stores them.
std::vector<double> numbers_of(const FrontierLoss& loss);
// The inverse, except for the weight. With only the first two numbers both forms are the power law; with
// none the loss is unknown.
FrontierLoss frontier_loss_of(std::span<const double> numbers);

// L_inf, alpha_L and G_L of the form that levels off; none where the minima do not level off. The rows of
// `draws` end with numbers_of(). An interval of L_inf that begins at zero does not show whether there is a
// floor.
std::vector<Estimate> levelling_estimates(const FrontierLoss& loss,
                                          const std::vector<std::vector<double>>& draws);

}  // namespace esmscale::laws
