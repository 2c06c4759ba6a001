// What laws are fitted to: one point a finished run, with its training curve if there is one.
#pragma once

#include "esmscale/laws/points/counts.h"
#include "esmscale/laws/points/flop_ratio.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::laws {

struct Point {
  double parameters = 0;   // N, by the count that Basis names
  double tokens = 0;       // D, real tokens
  double loss = 0;         // nats per masked position
  double flops = 0;        // C, by the count that Basis names
  double budget = 0;       // label of the IsoFLOP group; 0: none
  std::string run{};       // its name in tables and messages
  std::string schedule{};  // its name and last factor, "linear to 0.1"; "" from a points file
  int64_t seed = 0;
  double unique_tokens = 0;  // what one epoch holds; 0: no token was seen twice
  double loss_error = 0;     // standard error of the loss over the holdout's sequences, nats; 0: unknown

  double epochs() const { return unique_tokens > 0 ? tokens / unique_tokens : 1; }
};

// One training curve, in the order of training.
struct Curve {
  struct Sample {
    double flops, tokens, loss;
  };
  size_t point = 0;  // its run's place in PointSet::points
  bool any_horizon =
      false;  // a constant learning rate (or a wsd trunk): each sample is as good as a shorter run's end
  std::vector<Sample> samples;
};

// What the numbers of a point mean. Every law carries it, and plan refuses to mix two.
struct Basis {
  std::string source;  // the points file, or "run folders"
  FlopCount flop_count = FlopCount::six_n_d;
  ParameterCount parameter_count = ParameterCount::kaplan;
  LossKind loss = LossKind::eval;
  std::string dataset, holdout, alphabet, holdout_label;
  FlopRatio flop_ratio;            // C = 6·N·D·ratio(N)
  double mean_squared_length = 0;  // Σn²/Σn of the packed sequences, rows; 0: unknown
  double most_epochs = 1;          // points of more are left out of all laws except that of repeats
};

struct PointSet {
  struct Excluded {
    std::string run, why;
  };
  std::vector<Point> points;
  std::vector<Curve> curves;
  std::vector<Excluded> excluded;
  std::vector<std::string> warnings;
  Basis basis;
};

// How columns or metrics become points.
struct PointOptions {
  std::optional<FlopCount> flop_count{};  // 6nd or hoffmann; none: the one that is there
  ParameterCount parameter_count = ParameterCount::kaplan;
  LossKind loss = LossKind::eval;
  int64_t drop_highest = 0;  // leaves out the N points of the highest loss
  bool allow_mixed = false;  // several data sets, holdouts, alphabets or beginnings in one fit
  double most_epochs = 1;    // Basis::most_epochs; at least 1
};

// A points file (columns in docs/formats.md). A row without parameters, tokens or loss is excluded. Error for
// a missing column or nearly a known name, a number that is not finite and positive, a run that occurs twice
// (another seed is a replicate), perplexities, fewer than two points.
PointSet read_points(const std::filesystem::path& file, const PointOptions& options);
// Its text for parse_points(), which a pipe gives only once.
std::string read_points_text(const std::filesystem::path& file);
PointSet parse_points(std::string_view csv, std::string_view where, const PointOptions& options);

// Leaves out the `count` points of the highest loss (ties: the later first) and their curves; each is named
// in excluded.
void drop_highest(PointSet& set, int64_t count);

// Leaves out the points of the named runs and their curves; each is named in excluded. Usage error for a name
// that no point has (the nearest is named), and when fewer than two points are left.
void drop_runs(PointSet& set, const std::vector<std::string>& names);

// Same size: their numbers of parameters differ by less than a hundredth (points read off a figure wobble).
bool same_size(double a, double b);

// Places of runs of the same N, D and schedule with different seeds, two or more in each group.
std::vector<std::vector<size_t>> replicates_of(const std::vector<Point>& points);

// Standard deviation of ln L between replicates, pooled, and the same as a scale that a few outliers do not
// move (laws/robust.h). degrees 0: there are none.
struct SeedNoise {
  double sigma = 0, scale = 0;
  int64_t degrees = 0;
  std::vector<size_t> largest;  // the group with the largest share of σ², as places
  double share = 0;             // its share
};
SeedNoise seed_noise(const std::vector<Point>& points);

}  // namespace esmscale::laws
