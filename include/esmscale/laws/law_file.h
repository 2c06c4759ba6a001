// What planning needs of a fit: the frontier of each approach with its draws, and which of them the points
// support.
#pragma once

#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/fits/frontier_loss.h"
#include "esmscale/laws/fits/repeats.h"
#include "esmscale/laws/loss_surface.h"
#include "esmscale/laws/points/points.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

// Beyond its points a law is an extrapolation. (Runs miss their budget by a step or two.)
inline bool is_beyond(double value, double lowest, double highest) {
  constexpr double kSteps = 1.05;
  return value > kSteps * highest || value < lowest / kSteps;
}

enum class Approach { one, two, three, kaplan };

// In the order in which planning prefers them: approach 2 assumes least of the form of the loss, and the
// envelope, approach 1, is the coarsest.
inline constexpr std::array kPlanningOrder{Approach::two, Approach::kaplan, Approach::three, Approach::one};

const char* key_of(Approach approach);   // its place in laws.json: "approach2", "kaplan.L_ND"
const char* name_of(Approach approach);  // "approach 2", "L(N,D)"
std::optional<Approach> approach_of(const std::string& key);

// Which approach the points support, by the rule of docs/laws.md.
struct Planning {
  struct Verdict {
    Approach approach;
    bool is_supported = false;
    std::string why;  // for or against it
  };
  std::vector<Verdict> verdicts;  // of all four in kPlanningOrder; empty: nothing was judged

  std::optional<Approach> taken() const;       // the first that is supported
  const Verdict* of(Approach approach) const;  // null: not judged
  std::string reasons() const;                 // against each that is not supported, on one line
};

struct LawFile {
  struct Powers {  // an approach that gives power laws only
    PowerLaw parameters, tokens;
    std::vector<std::vector<double>> draws;  // a, b, G_N, G_D, and where the loss is known its numbers
    FrontierLoss loss{};
    double lowest_flops = 0, highest_flops = 0;  // that it was fitted to; 0: unknown
  };
  // An IsoFLOP budget of the points: the sizes run there, and whether its minimum lies among them.
  struct Budget {
    double flops = 0, smallest = 0, largest = 0;
    bool is_bracketed = false;
  };
  // Where a law comes from that is not one's own.
  struct Published {
    std::string name, title, source, protocol, own_law;  // own_law: the constants that its authors print
  };

  std::string path;
  Basis basis;
  std::optional<ParametricLaw> approach3, kaplan;
  std::vector<ParametricLaw> draws, kaplan_draws;  // of approach 3; of L(N, D)
  std::optional<Powers> approach1, approach2;
  double noise = 0;          // of one run's loss about the laws, nats; 0: unknown
  double holdout_error = 0;  // standard error of a loss over the holdout's sequences, nats; 0: unknown
  double curvature = 0;      // approach 2's mean c in ΔL = c·(ln N/N_opt)²; 0: unknown
  std::optional<RepeatLaw> repeats;
  std::vector<RepeatLaw> repeat_draws;                     // one for each of `draws`; empty: unknown
  double lowest_flops = 0, highest_flops = 0;              // of the points
  double smallest_parameters = 0, largest_parameters = 0;  // of the points; 0: unknown
  std::vector<Budget> budgets;                             // by C; empty: unknown, or none
  Planning planning;
  std::optional<Published> published;
  std::vector<std::string> warnings;

  bool has(Approach approach) const;
  // What planning takes: the approach that is supported; where nothing was judged, the first that is there.
  std::optional<Approach> preferred() const;
  // What tables and pictures predict losses by: the approach that planning takes; where the points support
  // none, the first in the order of planning that has an optimum, else approach 3 as it is.
  struct Shown {
    Approach approach;
    LossSurface surface;
  };
  std::optional<Shown> shown() const;
  // nullopt where the approach has no optimum; one surface for each draw of its constants, none where the
  // file has no such approach.
  std::optional<LossSurface> surface(Approach approach) const;
  std::vector<LossSurface> drawn_surfaces(Approach approach) const;
  // NaN where the approach has none; its loss NaN where it does not know it. D at most max_tokens, when that
  // is above 0: what the data does not take goes into N at the same C.
  Optimum optimum(Approach approach, double flops, double max_tokens = 0) const;
  std::vector<Optimum> drawn_optima(Approach approach, double flops, double max_tokens = 0) const;
  // Decades from C to the budgets that the approach rests on, or from N to the sizes of the points, whichever
  // is more; 0 inside both.
  double decades_beyond(Approach approach, double flops, double parameters) const;
};

}  // namespace esmscale::laws
