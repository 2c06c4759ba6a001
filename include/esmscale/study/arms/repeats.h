// What a repeated token is worth against a fresh one, from runs of one model and recipe on fewer and fewer
// sequences (`--layout epochs`). No law is needed: fresh runs of fewer tokens show what tokens are worth.
#pragma once

#include "esmscale/core/json.h"

#include <limits>
#include <string>
#include <vector>

namespace esmscale::study {

struct RepeatedRun {
  std::string name;
  // Seen, and of all sequences that some epoch may train: those of one epoch, except with clusters.
  double tokens = 0, unique_tokens = 0;
  double loss = 0;  // nats

  double epochs() const { return tokens / unique_tokens; }
  // With a margin: an epoch of a sample is never exactly as long as planned.
  bool is_repeated() const { return epochs() > 1.05; }
};

// Muennighoff et al. 2023: D tokens from an epoch of U count as U·[1 + R*·(1 − e^(−r/R*))] fresh ones, with
// r = D/U − 1. Their loss is a parabola in the logarithm of that number (a line where fresh runs have two
// numbers of tokens only).
struct RepeatWorth {
  std::string model;              // its shape
  std::string recipe{};           // what distinguishes it from other groups; "": nothing
  std::vector<RepeatedRun> runs;  // by epochs
  double scale = std::numeric_limits<double>::quiet_NaN();  // R*, epochs; infinite: as good as fresh
  // 95%, by the F test on the sum of squares. 0 and infinity: the runs do not bound it on that side.
  double low = std::numeric_limits<double>::quiet_NaN(), high = low;
  double scatter = std::numeric_limits<double>::quiet_NaN();  // of the runs about the fit, nats
  std::string why;                                            // there is no R*; "" where there is one

  // The number of fresh tokens that one token of a run with this number of epochs is worth, by R*.
  double worth_at(double epochs) const;
};

std::string verdict_of(const RepeatWorth& worth);  // R* with its interval in one line, or why there is none
std::vector<std::string> repeats_header();
std::vector<std::string> repeats_cells(const RepeatWorth& worth, const RepeatedRun& run);
Json to_json(const std::vector<RepeatWorth>& repeats);
std::string to_text(const std::vector<RepeatWorth>& repeats);

}  // namespace esmscale::study
