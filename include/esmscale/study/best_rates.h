// The best learning rate of each model, batch and number of tokens of a study, and a law of it, from runs
// that differ in the rate alone (the sweep, `--layout lr`, `--layout batch`).
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/laws/points/counts.h"
#include "esmscale/study/state.h"

#include <limits>
#include <string>
#include <vector>

namespace esmscale::study {

struct TriedRate {
  double rate = 0, loss = 0;  // optimizer.lr; mean over the seeds, nats
  int seeds = 0;
};

struct BestRate {
  std::string model;                                               // its shape
  double parameters = 0, batch_tokens = 0, tokens = 0, flops = 0;  // N (kaplan), B, D, C (hoffmann)
  double matrix_ratio = 0;       // optimizer.matrix_lr / optimizer.lr; 0: no rate of matrices
  std::vector<TriedRate> tried;  // ascending
  // The vertex of the parabola in ln(rate) through the lowest loss and its neighbours; NaN where the lowest
  // is the first or last tried.
  double rate = std::numeric_limits<double>::quiet_NaN();
  double log_error = std::numeric_limits<double>::quiet_NaN();  // of ln(rate); NaN: no replicates
  double loss = std::numeric_limits<double>::quiet_NaN();       // at the vertex
  double doubled = std::numeric_limits<double>::quiet_NaN();    // nats that twice or half the rate loses
  std::string why;                                              // there is no best rate
};

// rate ∝ N^n · B^b · C^c, over those of N, B and C that vary.
struct RateLaw {
  struct Exponent {
    std::string of;                       // "N", "B" or "C"
    double value = 0, low = 0, high = 0;  // 95%, by Student's t on the scatter about the law
  };
  std::vector<BestRate> groups;
  double sigma = std::numeric_limits<double>::quiet_NaN();  // of a loss between seeds, pooled; NaN: unknown
  std::vector<Exponent> exponents;
  double coefficient = std::numeric_limits<double>::quiet_NaN();
  std::string why;  // there is no law
};

// Groups of three rates or more. A law takes the groups with a best rate and the commonest matrix_ratio.
RateLaw rates_of(const Study& study, laws::LossKind loss);

std::string verdict_of(const RateLaw& law);  // the law in one line, or why there is none
Json to_json(const RateLaw& law);
std::string to_text(const RateLaw& law);

}  // namespace esmscale::study
