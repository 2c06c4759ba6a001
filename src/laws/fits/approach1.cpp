#include "esmscale/laws/fits/approach1.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace esmscale::laws {
namespace {

constexpr int kValues = 1500;
constexpr size_t kFewestSizes = 3;

// The loss of one size along ln C, joined linearly.
struct Track {
  double parameters = 0;
  std::vector<double> log_flops, log_tokens, loss;

  bool covers(double x) const { return x >= log_flops.front() && x <= log_flops.back(); }
};

struct Sample {
  size_t run;  // place in PointSet::points
  double parameters, flops, tokens, loss;
};

// By size, then by C. Sizes that are the same (points.h) get the smallest of them as theirs.
void sort_by_size(std::vector<Sample>& samples) {
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.parameters < b.parameters; });
  for (auto first = samples.begin(); first != samples.end();) {
    const double size = first->parameters;
    const auto last =
        std::find_if(first, samples.end(), [&](const Sample& s) { return !same_size(size, s.parameters); });
    std::sort(first, last, [](const Sample& a, const Sample& b) { return a.flops < b.flops; });
    for (; first != last; ++first) first->parameters = size;
  }
}

// Whole runs: the samples of one belong together.
std::vector<Sample> samples_of(const PointSet& set, const std::vector<size_t>& use, std::string& from) {
  std::vector<Sample> samples;
  for (const Curve& curve : set.curves) {
    if (!curve.any_horizon || std::find(use.begin(), use.end(), curve.point) == use.end()) continue;
    for (const Curve::Sample& s : curve.samples)
      samples.push_back({curve.point, set.points[curve.point].parameters, s.flops, s.tokens, s.loss});
  }
  // Never both in one curve: a decayed end lies below a constant rate's sample of the same C.
  from = samples.empty() ? "final points of several horizons" : "curves of constant learning rate";
  if (samples.empty())
    for (const size_t i : use) {
      const Point& p = set.points[i];
      samples.push_back({i, p.parameters, p.flops, p.tokens, p.loss});
    }
  sort_by_size(samples);
  return samples;
}

// Samples of one size at the same C (replicates, overlapping curves) become their best.
void extend(Track& track, const Sample& s) {
  const double x = std::log(s.flops);
  if (!track.log_flops.empty() && x - track.log_flops.back() < 1e-3) {
    if (s.loss < track.loss.back()) {
      track.loss.back() = s.loss;
      track.log_tokens.back() = std::log(s.tokens);
    }
    return;
  }
  track.log_flops.push_back(x);
  track.log_tokens.push_back(std::log(s.tokens));
  track.loss.push_back(s.loss);
}

// counts: how often a draw holds each run; empty is once each.
std::vector<Track> tracks_of(const std::vector<Sample>& samples, const std::vector<double>& counts) {
  std::vector<Track> tracks;
  for (const Sample& s : samples) {
    if (!counts.empty() && counts[s.run] == 0) continue;
    if (tracks.empty() || tracks.back().parameters != s.parameters)
      tracks.push_back({.parameters = s.parameters, .log_flops = {}, .log_tokens = {}, .loss = {}});
    extend(tracks.back(), s);
  }
  std::erase_if(tracks, [](const Track& t) { return t.log_flops.size() < 2; });
  return tracks;
}

std::vector<Approach1::Winner> envelope_of(const std::vector<Track>& tracks) {
  double low = INFINITY, high = -INFINITY;
  for (const Track& t : tracks) {
    low = std::min(low, t.log_flops.front());
    high = std::max(high, t.log_flops.back());
  }
  std::vector<Approach1::Winner> envelope;
  std::vector<size_t> at(tracks.size(), 0);
  for (int i = 0; i < kValues; ++i) {
    const double x = low + (high - low) * i / (kValues - 1);
    Approach1::Winner best{
        .flops = std::exp(x), .parameters = 0, .tokens = 0, .loss = INFINITY, .inside = false};
    double smallest = INFINITY, largest = 0;
    for (size_t k = 0; k < tracks.size(); ++k) {
      const Track& t = tracks[k];
      if (!t.covers(x)) continue;
      smallest = std::min(smallest, t.parameters);
      largest = std::max(largest, t.parameters);
      while (at[k] + 2 < t.log_flops.size() && t.log_flops[at[k] + 1] < x) ++at[k];
      const size_t j = at[k];
      const double part = (x - t.log_flops[j]) / (t.log_flops[j + 1] - t.log_flops[j]);
      const double loss = t.loss[j] + part * (t.loss[j + 1] - t.loss[j]);
      if (loss >= best.loss) continue;
      best.loss = loss;
      best.parameters = t.parameters;
      best.tokens = std::exp(t.log_tokens[j] + part * (t.log_tokens[j + 1] - t.log_tokens[j]));
    }
    best.inside = best.parameters > smallest && best.parameters < largest;
    if (std::isfinite(best.loss)) envelope.push_back(best);
  }
  return envelope;
}

struct Winners {
  std::vector<double> flops, parameters, tokens, loss;
  size_t sizes = 0;
};
Winners inside_of(const std::vector<Approach1::Winner>& envelope) {
  Winners winners;
  std::vector<double> sizes;
  for (const auto& w : envelope) {
    if (!w.inside) continue;
    winners.flops.push_back(w.flops);
    winners.parameters.push_back(w.parameters);
    winners.tokens.push_back(w.tokens);
    winners.loss.push_back(w.loss);
    if (std::find(sizes.begin(), sizes.end(), w.parameters) == sizes.end()) sizes.push_back(w.parameters);
  }
  winners.sizes = sizes.size();
  return winners;
}

// The envelope has more samples than sizes, and those of one size are not independent.
FrontierLoss loss_of(const Winners& winners) {
  return fit_frontier_loss(winners.flops, winners.loss, winners.sizes);
}

DrawValues values_of(const Winners& winners) {
  const PowerLaw parameters = fit_power_law(winners.flops, winners.parameters);
  const PowerLaw tokens = fit_power_law(winners.flops, winners.tokens);
  DrawValues values{parameters.exponent, tokens.exponent, parameters.coefficient, tokens.coefficient};
  for (const double number : numbers_of(loss_of(winners))) values.push_back(number);
  return values;
}

}  // namespace

std::optional<Approach1> fit_approach1(const PointSet& set, const std::vector<size_t>& use,
                                       const BootstrapOptions& options, std::string& why) {
  Approach1 fit;
  const std::vector<Sample> samples = samples_of(set, use, fit.from);
  const std::vector<Track> tracks = tracks_of(samples, {});
  if (tracks.size() < kFewestSizes) {
    why = text("an envelope needs ", kFewestSizes,
               " sizes or more, each with several horizons or a constant (or wsd) ",
               "learning rate; there are ", tracks.size());
    return std::nullopt;
  }
  fit.envelope = envelope_of(tracks);
  const Winners winners = inside_of(fit.envelope);
  if (winners.sizes < kFewestSizes) {
    why = text("only ", winners.sizes,
               " size(s) win at a C that a smaller and a larger size reach too; three are needed");
    return std::nullopt;
  }
  const DrawValues values = values_of(winners);
  fit.parameters = {values[2], values[0]};
  fit.tokens = {values[3], values[1]};
  fit.loss = loss_of(winners);
  fit.sizes = winners.sizes;
  const std::array names{"a", "b", "G_N", "G_D", "alpha_L", "G_L"};
  for (size_t i = 0; i < names.size(); ++i) fit.estimates.push_back({.name = names[i], .value = values[i]});

  const auto draws = bootstrap(options, [&](uint64_t draw) -> DrawValues {
    const auto counts = run_counts(options.seed, draw, set.points.size());
    const std::vector<Track> drawn = tracks_of(samples, counts);
    if (drawn.size() < kFewestSizes) return {};
    const Winners w = inside_of(envelope_of(drawn));
    if (w.sizes < kFewestSizes) return {};
    return values_of(w);
  });
  if (set_intervals(fit.estimates, draws); !draws.empty() && !fit.estimates[0].has_interval)
    fit.warnings.push_back(
        "approach 1: no intervals: over half of the draws leave fewer than three sizes on the envelope");
  for (const DrawValues& v : draws)
    if (!v.empty()) fit.draws.push_back(v);
  if (winners.sizes < 5)
    fit.warnings.push_back(
        text("approach 1: only ", winners.sizes, " sizes win; the envelope is a coarse staircase"));
  return fit;
}

}  // namespace esmscale::laws
