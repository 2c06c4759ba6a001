// Two runs, or two arms of several seeds each: what differs, and by how much, with errors.
#pragma once

#include "esmscale/study/runs/run_view.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::study {

// Runs that differ in the seed only.
struct Arm {
  std::string name;
  std::vector<RunView> runs;
};

// A key whose values in the two arms are not the same; several values of one arm are joined by ", ".
struct Differing {
  std::string key, a, b;
};

// Where the error of a difference comes from. seeds: between the seeds of the arms. paired: by sequence of
// the holdout. unpaired: the errors of both losses on the holdout, added in squares.
enum class ErrorSource { seeds, paired, unpaired };

// a − b at the end, nats.
struct Difference {
  double loss = 0;
  double error = kUnknown;  // standard error
  int64_t seeds = 0;        // of the smaller arm
  ErrorSource from = ErrorSource::unpaired;
  double low = kUnknown, high = kUnknown;  // 95%
};

// Both arms at the same number of tokens: means over their runs.
struct CurvePoint {
  double tokens = 0, a = 0, b = 0;
};

struct Comparison {
  std::string name_a, name_b;
  std::vector<Differing> differs;
  Difference difference;
  double between_seeds = kUnknown;  // standard deviation of a run's loss between seeds, pooled; NaN: unknown
  // Seeds of each arm with which a difference of kNotableDifference would be found in four of five studies
  // at a level of 5%; 0: unknown.
  int64_t seeds_needed = 0;
  std::vector<CurvePoint> curve;
  std::vector<std::string> warnings;

  std::string verdict() const;
};

inline constexpr double kNotableDifference = 0.003;  // nats

// A difference paired by sequence, of one run each, when the user has the scores.
struct PairedDifference {
  double loss = 0, error = 0;
};

// By the last holdout loss of each run. Error: a run without one; runs of several holdouts or masking rates
// of the evaluation, whose losses cannot be compared.
Comparison compare(const Arm& a, const Arm& b, const std::optional<PairedDifference>& paired);

Json to_json(const Comparison& comparison);
std::string to_text(const Comparison& comparison);

}  // namespace esmscale::study

namespace esmscale {

template <>
struct EnumNames<study::ErrorSource> {
  using enum study::ErrorSource;
  static constexpr std::pair<study::ErrorSource, std::string_view> table[] = {
      {seeds, "seeds"}, {paired, "paired"}, {unpaired, "unpaired"}};
};

}  // namespace esmscale
