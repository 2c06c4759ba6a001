// Does planning by the rule of docs/laws.md answer right? Studies simulated from known truths, with noise, go
// through the fit; coverage of a's 95% interval, N_opt at 1e20 FLOPs and the loss at 1e21 against the truth.
// Withheld answers are counted apart. benchmark_planning [REPLICATES] [DRAWS] [FIRST_SEED]
#include "esmscale/core/random.h"
#include "esmscale/laws/laws.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/study/layout.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace {

using namespace esmscale;

// Parabolas of curvature c about N_opt = shift · N₀·(C/C₀)^a, where the study's centre is Cheng's N₀ at C₀;
// or a law of approach 3's form.
struct Truth {
  const char* name;
  double a, shift, curvature, sigma;
  bool is_surface = false;
  laws::ParametricLaw surface{};

  double best(double flops) const {
    if (is_surface) return laws::optimum(surface, {}, flops).parameters;
    constexpr double kMiddle = 1.73e19;  // of the budgets
    const double centre = 1.365e-7 * std::pow(kMiddle, 0.7598);
    return shift * centre * std::pow(flops / kMiddle, a);
  }
  double loss(double parameters, double flops) const {
    if (is_surface) return surface.loss(parameters, flops / (6 * parameters));
    const double x = std::log(parameters / best(flops));
    return 2.126 * std::pow(flops / 8.64e19, -0.0287) + curvature * x * x;
  }
};

const laws::ParametricLaw kSurface{.E = 1.7, .A = 9.77, .B = 10351, .alpha = 0.18, .beta = 0.45};

laws::PointSet simulated(const study::StudyLayout& layout, const Truth& truth, uint64_t seed) {
  laws::PointSet set;
  RandomStream random(seed, Purpose::test, 0);
  for (const study::StudyRun& run : layout.runs) {
    laws::Point p{
        .parameters = run.parameters, .tokens = run.tokens, .flops = run.budget, .budget = run.budget};
    p.loss = truth.loss(p.parameters, p.flops) + truth.sigma * random.normal();
    p.run = run.name;
    p.seed = int64_t(run.config.train.seed);
    set.points.push_back(std::move(p));
  }
  return set;
}

// Approach 2 decides alone where it is supported, for it comes first and is judged by itself.
laws::Laws fitted(laws::PointSet set, const laws::BootstrapOptions& options) {
  laws::Laws laws;
  laws.set = set;
  laws.options = options;
  for (size_t i = 0; i < set.points.size(); ++i) laws.use.push_back(i);
  std::string why;
  laws.approach2 = laws::fit_approach2(laws.set, laws.use, options, why);
  if (laws.approach2) laws.profiles = laws.approach2->profiles;
  laws.planning = laws::judge(laws);
  if (laws.planning.taken() == laws::Approach::two) return laws;
  return laws::fit_laws(std::move(set), options);
}

struct Outcome {
  int withheld = 0, covered = 0, loss_covered = 0, by[4] = {};
  std::vector<double> a, ratio, width, loss_error;
};

// Half a decade beyond the budgets, where a plan's interval is wider than its draws by that half decade.
void add_loss(Outcome& outcome, const laws::LawFile& file, laws::Approach taken, const Truth& truth) {
  constexpr double kBeyond = 1e21;
  const double value = file.optimum(taken, kBeyond).loss;
  const double miss = value - truth.loss(truth.best(kBeyond), kBeyond);
  std::vector<double> drawn;
  for (const laws::Optimum& draw : file.drawn_optima(taken, kBeyond)) drawn.push_back(draw.loss);
  const laws::Interval interval = laws::holding(laws::central_interval(drawn, 0.95), value);
  const double wider = 1 + file.decades_beyond(taken, kBeyond, file.optimum(taken, kBeyond).parameters);
  outcome.loss_covered += wider * (interval.low - value) <= -miss && -miss <= wider * (interval.high - value);
  outcome.loss_error.push_back(miss);
}

void add(Outcome& outcome, const laws::Laws& laws, const Truth& truth) {
  const std::optional<laws::Approach> taken = laws.planning.taken();
  if (!taken) {
    ++outcome.withheld;
    return;
  }
  ++outcome.by[int(*taken)];
  const laws::LawFile file = laws::law_file(laws);
  const auto slope = [](double low, double high) { return std::log(high / low) / std::log(100.0); };
  const auto at = [&](double flops) { return file.optimum(*taken, flops).parameters; };
  std::vector<double> slopes;
  const auto low = file.drawn_optima(*taken, 1e18), high = file.drawn_optima(*taken, 1e20);
  for (size_t i = 0; i < low.size(); ++i) slopes.push_back(slope(low[i].parameters, high[i].parameters));
  const double a = slope(at(1e18), at(1e20)), true_a = slope(truth.best(1e18), truth.best(1e20));
  const laws::Interval interval = laws::holding(laws::central_interval(slopes, 0.95), a);
  outcome.covered += interval.low <= true_a && true_a <= interval.high;
  outcome.width.push_back(interval.high - interval.low);
  outcome.a.push_back(a);
  outcome.ratio.push_back(at(1e20) / truth.best(1e20));
  add_loss(outcome, file, *taken, truth);
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  return values[size_t(q * double(values.size() - 1) + 0.5)];
}

}  // namespace

int main(int count, char** arguments) {
  const int replicates = count > 1 ? std::atoi(arguments[1]) : 200;
  const int64_t draws = count > 2 ? std::atoll(arguments[2]) : 200;
  const uint64_t first = count > 3 ? uint64_t(std::atoll(arguments[3])) : 1;
  const Truth truths[] = {{"Cheng, c 0.03", 0.7598, 1, 0.03, 0.005},
                          {"Cheng, c 0.03", 0.7598, 1, 0.03, 0.010},
                          {"3x off, a 0.60, c 0.03", 0.60, 3, 0.03, 0.005},
                          {"3x off, a 0.60, c 0.02", 0.60, 3, 0.02, 0.010},
                          {"approach 3's form", 0, 1, 0, 0.005, true, kSurface},
                          {"approach 3's form", 0, 1, 0, 0.010, true, kSurface}};
  study::StudyRequest request;
  request.budgets = {1e18, 3e18, 1e19, 3e19, 1e20, 3e20};
  request.sweep = false;
  request.basis.flop_count = laws::FlopCount::six_n_d;
  const study::StudyLayout layout = study::lay_out_study(request);
  std::printf("%zu runs a study, %d replicates, %lld draws\n", layout.runs.size(), replicates,
              static_cast<long long>(draws));
  std::printf(
      "| truth | sigma | true a | mean a | coverage | median width | N_opt(1e20)/true, median (range) | "
      "loss(1e21) − true, median (coverage) | by 1, 2, 3, L(N,D) | withheld |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const Truth& truth : truths) {
    Outcome outcome;
    for (int i = 0; i < replicates; ++i) {
      const uint64_t seed = first + uint64_t(i);
      add(outcome, fitted(simulated(layout, truth, seed), {.draws = draws, .seed = seed, .threads = 2}),
          truth);
    }
    const auto planned = double(std::max<size_t>(1, outcome.a.size()));
    double mean = 0;
    for (const double a : outcome.a) mean += a / double(outcome.a.size());
    std::printf(
        "| %s | %.3f | %.3f | %.3f | %.3f | %.3f | %.2f (%.2f to %.2f) | %+.4f (%.3f) | %d, %d, %d, %d | "
        "%d |\n",
        truth.name, truth.sigma, std::log(truth.best(1e20) / truth.best(1e18)) / std::log(100.0), mean,
        double(outcome.covered) / planned, quantile(outcome.width, 0.5), quantile(outcome.ratio, 0.5),
        quantile(outcome.ratio, 0), quantile(outcome.ratio, 1), quantile(outcome.loss_error, 0.5),
        double(outcome.loss_covered) / planned, outcome.by[0], outcome.by[1], outcome.by[2], outcome.by[3],
        outcome.withheld);
    std::fflush(stdout);
  }
}
