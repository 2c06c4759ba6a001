// Does a law fit its points? Residuals against the noise of the points, and what is left in them of C, N
// and D.
#pragma once

#include "esmscale/laws/fits/approach1.h"
#include "esmscale/laws/fits/approach2.h"
#include "esmscale/laws/fits/approach3.h"
#include "esmscale/laws/fits/kaplan.h"
#include "esmscale/laws/points/points.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

// The noise of one loss, nats: the scatter about the IsoFLOP profiles or between replicates, the larger of
// those with four degrees of freedom or more. sigma NaN: unknown.
struct PointNoise {
  double sigma = 0;
  double scale = 0;  // that a few outliers do not move, the larger of those with eight degrees; NaN: unknown
  std::string from;
};
PointNoise point_noise(const PointSet& set, const std::vector<IsoflopProfile>& profiles);

struct LackOfFit {
  std::string law;  // "approach 3", "L(N)", "L(N) + L_inf"
  std::string key;  // its place in laws.json
  size_t points = 0, constants = 0;
  double rms = 0;    // of the residuals, nats, by points less constants
  double scale = 0;  // likewise, but a few outliers do not move it
  double ratio = 0;  // scale over the noise's, or where that is unknown rms over sigma; NaN: both are unknown
  // Share of the residuals' variance that a parabola in ln C, ln N, ln D takes (R²).
  double trend_flops = 0, trend_parameters = 0, trend_tokens = 0;
  double held_out_error = 0;  // root mean square, nats; NaN: unknown
  double off_line = 0;        // Approach2::misfit; NaN for the other laws
  // Akaike's criterion of normal residuals, n·ln(Σr²/n) + 2·constants, of the laws that are fitted to all
  // points: only theirs can be compared. NaN for the others.
  double aic = 0;
};

// One row for each of the approaches and Kaplan's laws with and without a floor that is there. The points of
// approach 1 are the values of C on its envelope that enter its laws, which are not independent; its held-out
// error is that of each budget's lowest loss, by the envelope without that budget.
std::vector<LackOfFit> lack_of_fit(const PointSet& set, const std::vector<size_t>& use,
                                   const PointNoise& noise, const std::vector<IsoflopProfile>& profiles,
                                   const std::optional<Approach1>& approach1,
                                   const std::optional<Approach2>& approach2,
                                   const std::optional<Approach3>& approach3,
                                   const std::vector<KaplanLaw>& kaplan);

}  // namespace esmscale::laws
