// Hoffmann's approach 3: L = E + A/N^α + B/D^β by the published protocol (law_form.h), from the published
// grid of 4,500 starts: α, β ∈ {0, ½, … 2}, ln E ∈ {−1, −½, … 1}, ln A, ln B ∈ {0, 5, … 25}.
#pragma once

#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/fits/law_form.h"
#include "esmscale/laws/points/points.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

struct Approach3 {
  struct Draw {
    uint64_t number;  // of run_weights
    ParametricLaw law;
  };

  ParametricLaw law;
  double objective = 0;  // the Huber sum
  size_t points = 0;
  // The fit first, then its runners-up: where a draw starts. Constants that mean the same frontier (a and
  // N_opt agree within 5%) are one.
  std::vector<FormFit> optima;
  // What a likelihood-ratio test at 95% leaves of E, the other constants fitted anew at each; low 0: no
  // least.
  Interval floor_by_profile;
  Interval balance_by_profile;  // likewise of β/(α + β), which is a under C = 6ND; 0 or 1: no bound there
  double held_out_error = 0;    // root mean square over held-out points, nats
  FrontierLaws frontier;        // over the C of the points
  // E, A, B, alpha, beta, a, b, then G_N and G_D, the coefficients of N_opt and D_opt.
  std::vector<Estimate> estimates;
  std::vector<Draw> draws;  // those that could be fitted
  std::vector<std::string> warnings;

  // name: E, A, B, alpha, beta, a, b, G_N or G_D; std::logic_error for another.
  const Estimate& estimate(const std::string& name) const;
  bool is_floor_at_bound(const PointSet& set, const std::vector<size_t>& use) const;
  std::string floor_text() const;  // "E = 1.817 (95%: 1.771 to 1.871)", "E < 1.71 (95%, by profile)"
};

std::vector<std::vector<double>> published_starts();

// From the points whose places are in `use` (single-epoch, finished runs). nullopt and a reason when fewer
// than six points or no start converged.
std::optional<Approach3> fit_approach3(const PointSet& set, const std::vector<size_t>& use,
                                       const BootstrapOptions& options, std::string& why);

// The constants of other points, or of fewer, from the optima of a fit in place of all starts. nullopt when
// none converged, or with fewer than six points. delta: of the Huber loss; infinite: least squares.
std::optional<ParametricLaw> refit_approach3(const Approach3& fit, const PointSet& set,
                                             const std::vector<size_t>& use, double delta = kHuberDelta);
// Likewise with draws; its profile, held-out error and warnings are not there.
std::optional<Approach3> approach3_from(const Approach3& fit, const PointSet& set,
                                        const std::vector<size_t>& use, const BootstrapOptions& options);

// Adds the intervals; apart from the fit, so that tests can call it with their own optima.
void bootstrap_approach3(Approach3& fit, const PointSet& set, const std::vector<size_t>& use,
                         const BootstrapOptions& options);

}  // namespace esmscale::laws
