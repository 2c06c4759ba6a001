// The best learning rate of each model, batch and number of tokens of a study, and a law of it, from runs
// that differ in the rate alone (the sweep, `--layout lr`, `--layout batch`).
#pragma once

#include "esmscale/core/json.h"

#include <limits>
#include <string>
#include <vector>

namespace esmscale::study {

struct TriedRate {
  double rate = 0, loss = 0;  // optimizer.lr; mean over the seeds, nats
  int seeds = 0;
};

struct BestRate {
  std::string model;     // its shape
  std::string recipe{};  // what distinguishes it from other groups; "": nothing
  // For muon and normuon: "matrix_lr = 1.5·lr", or "matrix_lr = 0.006" where only the other rate varies.
  std::string matrices{};
  double parameters = 0, batch_tokens = 0, tokens = 0, flops = 0;  // N (kaplan), B, D, C (hoffmann)
  std::vector<TriedRate> tried;                                    // ascending
  // The vertex of the parabola in ln(rate) through the lowest loss and its neighbours; NaN where the lowest
  // is the first or last tried.
  double rate = std::numeric_limits<double>::quiet_NaN();
  double log_error = std::numeric_limits<double>::quiet_NaN();  // of ln(rate); NaN: no replicates
  double doubled = std::numeric_limits<double>::quiet_NaN();    // nats that twice or half the rate adds
  std::string why;                                              // there is no best rate
};

// rate ∝ N^n · B^b · C^c, over those of N, B and C that vary, by the groups that have a best rate and the
// commonest recipe and matrices.
struct RateLaw {
  struct Exponent {
    std::string of;                       // "N", "B" or "C"
    double value = 0, low = 0, high = 0;  // 95%, by Student's t on the scatter about the law
  };
  std::vector<BestRate> groups;
  double sigma = std::numeric_limits<double>::quiet_NaN();  // of a loss between seeds, pooled; NaN: unknown
  int degrees = 0;                                          // of freedom of sigma
  std::vector<Exponent> exponents;
  double coefficient = std::numeric_limits<double>::quiet_NaN();
  std::string why;  // there is no law
};

// The 95% interval of a best rate is rate / factor to rate · factor, by Student's t of sigma. NaN: unknown.
double interval_factor(const BestRate& group, const RateLaw& law);

std::string verdict_of(const RateLaw& law);  // the law in one line, or why there is none
std::vector<std::string> rates_header();
std::vector<std::string> rates_cells(const BestRate& group, const RateLaw& law);
Json to_json(const RateLaw& law);
std::string to_text(const RateLaw& law);

}  // namespace esmscale::study
