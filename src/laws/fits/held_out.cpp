#include "laws/fits/held_out.h"

#include "esmscale/core/parallel.h"
#include "esmscale/core/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace esmscale::laws {
namespace {

constexpr size_t kFolds = 10;

// The fold of each run: runs in an order drawn from the seed, dealt out in turn.
std::vector<size_t> folds_of(const Observations& points, size_t runs, uint64_t seed, size_t& folds) {
  std::vector<size_t> members = members_of(points);
  RandomStream random(seed, Purpose::fit_start, 0);
  for (size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[random.below(uint32_t(i))]);
  folds = members.size() <= 2 * kFolds ? members.size() : kFolds;
  std::vector<size_t> fold(runs, 0);
  for (size_t i = 0; i < members.size(); ++i) fold[members[i]] = i % folds;
  return fold;
}

}  // namespace

std::vector<size_t> members_of(const Observations& points) {
  std::vector<size_t> members = points.run;
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  return members;
}

std::vector<double> held_out_squares(const LawForm& form, const Observations& points, size_t runs,
                                     const std::vector<FormFit>& starts, const BootstrapOptions& options) {
  size_t folds = 0;
  const std::vector<size_t> fold = folds_of(points, runs, options.seed, folds);
  std::vector<double> squares(points.size(), NAN);
  parallel_for(folds, options.threads, [&](size_t k) {
    std::vector<double> weight(runs);
    for (size_t run = 0; run < runs; ++run) weight[run] = fold[run] == k ? 0 : 1;
    const FormFit refit = refit_form(form, points, weight, starts);
    for (size_t i = 0; i < points.size(); ++i) {
      if (fold[points.run[i]] != k || refit.theta.empty()) continue;
      const double miss =
          predict_loss(form, refit.theta, points.u[i], points.v[i]) - std::exp(points.log_loss[i]);
      squares[i] = miss * miss;
    }
  });
  return squares;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

double held_out_error(const std::vector<double>& squares) {
  return std::sqrt(mean_of(squares));
}

}  // namespace esmscale::laws
