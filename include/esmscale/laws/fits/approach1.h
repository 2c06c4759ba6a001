// Hoffmann's approach 1: the lower envelope of training curves. For each of 1,500 values of C, spread evenly
// in ln C, the size that reaches the lowest loss; the power laws of its N and D.
#pragma once

#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/fits/frontier_loss.h"
#include "esmscale/laws/points/points.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

struct Approach1 {
  struct Winner {
    double flops, parameters, tokens, loss;
    bool inside;  // a smaller and a larger size reach this C too; only such values enter the power laws
  };
  std::vector<Winner> envelope;  // by flops
  std::string from;              // curves, or final points of several horizons
  size_t sizes = 0;              // that win inside
  PowerLaw parameters, tokens;
  FrontierLoss loss;
  std::vector<Estimate> estimates;         // a, b, G_N, G_D, alpha_L, G_L as in Approach2
  std::vector<std::vector<double>> draws;  // as in Approach2
  std::vector<std::string> warnings;
};

// A sample in the middle of a decaying schedule sits above a run with that horizon, so only curves of any
// horizon are taken as they are; of other runs the final points of one size, joined in ln C, make its curve.
// nullopt and a reason when fewer than three sizes have a curve or fewer than three sizes win inside.
std::optional<Approach1> fit_approach1(const PointSet& set, const std::vector<size_t>& use,
                                       const BootstrapOptions& options, std::string& why);

}  // namespace esmscale::laws
