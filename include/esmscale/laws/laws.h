// All laws of one set of points: which points feed which, what cannot be fitted and why, what to doubt.
#pragma once

#include "esmscale/laws/fits/approach1.h"
#include "esmscale/laws/fits/approach2.h"
#include "esmscale/laws/fits/approach3.h"
#include "esmscale/laws/fits/kaplan.h"
#include "esmscale/laws/fits/plateau.h"
#include "esmscale/laws/fits/repeats.h"
#include "esmscale/laws/lack_of_fit.h"
#include "esmscale/laws/law_file.h"
#include "esmscale/laws/points/points.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

// What an approach's a and N_opt at `flops` (the highest C of the points) are without a run or a budget.
struct Leverage {
  struct Without {
    std::string what;
    double a = 0, parameters = 0;  // NaN: without it the approach is null
  };
  Approach approach;
  double flops = 0, a = 0, parameters = 0;
  std::vector<Without> runs, budgets;
};

struct Outlier {
  std::string run, from;
  double nats = 0, times = 0;  // the residual; its size in robust standard deviations
};

// The same runs under one count of C and of N.
struct CountRow {
  FlopCount flop_count{};
  ParameterCount parameter_count{};
  Approach approach;
  double flops = 0;          // where N_opt is
  Estimate a, parameters{};  // parameters: N_opt
  std::string why{};         // where both are NaN
};

// The same points by another δ of the Huber loss.
struct HuberRow {
  double delta = 0;  // infinite: least squares
  Approach approach{};
  double flops = 0, a = 0, parameters = 0;  // N_opt at `flops`, the highest C of the points; NaN: no optimum
};

struct Laws {
  PointSet set;
  std::vector<size_t> use;  // by Basis::most_epochs: what all laws except the repeats are fitted to
  SeedNoise noise;          // in ln L
  std::vector<IsoflopProfile> profiles;  // approach 2's; where that is null, what it looked at
  PointNoise point_noise;                // nats
  BootstrapOptions options;
  std::optional<Approach1> approach1;
  std::optional<Approach2> approach2;
  std::optional<Approach3> approach3;
  std::vector<KaplanLaw> kaplan;  // those of L_N, L_D, L_C, L_ND that the points support
  std::optional<Repeats> repeats;
  Plateau plateau;
  std::vector<LackOfFit> lack_of_fit;  // of each law that is there
  Planning planning;
  std::vector<Leverage> leverage;          // by add_leverage()
  std::vector<Outlier> outliers;           // likewise
  std::vector<CountRow> sensitivity;       // by sensitivity_to_counts()
  std::vector<HuberRow> huber;             // by sensitivity_to_huber()
  std::map<std::string, std::string> why;  // part that is null → the reason
  std::vector<std::string> warnings;

  const KaplanLaw* find_kaplan(const std::string& name) const;
};

// Error with fewer than two points.
Laws fit_laws(PointSet set, const BootstrapOptions& options);

// Which approach the points support. `planning` itself is not read; what is null is not supported.
Planning judge(const Laws& laws);

// Why the points do not support the approach's optimum at C, which other budgets may support: the nearest
// budget at or above C is not bracketed, C is that budget or lies below every bracketed one, and the optimum
// at that budget lies outside the sizes run there. Else "".
std::string against_budget(const LawFile& laws, Approach approach, double flops);

// One warning where N_opt of the approaches differs by more than a factor of two at C; else "".
std::string disagreement(const LawFile& laws, double flops);

// A published frontier to print beside one's own: N_opt ∝ C^a, D_opt ∝ C^b.
struct PublishedFrontier {
  const char *name, *source;
  double a, b;
  // Coefficients of N_opt and D_opt where they are published; 0: only the exponents are.
  double coefficient_parameters = 0, coefficient_tokens = 0;
};
const std::vector<PublishedFrontier>& published_frontiers();

// The C that Cheng et al.'s law was fitted to.
inline constexpr double kChengLow = 1e18, kChengHigh = 1e21;

}  // namespace esmscale::laws
