#include "esmscale/laws/fits/law_form.h"

#include "esmscale/core/parallel.h"
#include "laws/fits/minimise.h"

#include <algorithm>
#include <cmath>

namespace esmscale::laws {
namespace {

constexpr size_t kLargestForm = 5;

// ln(e^x + e^y), and the share that e^x has in it.
double log_sum(double x, double y, double& share) {
  const double larger = std::max(x, y);
  const double ex = std::exp(x - larger), ey = std::exp(y - larger);
  share = ex / (ex + ey);
  return larger + std::log(ex + ey);
}

double parametric(const double* theta, double u, double v, double* gradient) {
  const double by_size = theta[0] - theta[3] * u, by_data = theta[1] - theta[4] * v, floor = theta[2];
  const double largest = std::max({by_size, by_data, floor});
  const double n = std::exp(by_size - largest), d = std::exp(by_data - largest),
               e = std::exp(floor - largest);
  const double sum = n + d + e;
  gradient[0] = n / sum;
  gradient[1] = d / sum;
  gradient[2] = e / sum;
  gradient[3] = -gradient[0] * u;
  gradient[4] = -gradient[1] * v;
  return largest + std::log(sum);
}

double balanced(const double* theta, double u, double v, double* gradient) {
  const double sum = theta[3], balance = theta[4];
  const double same[] = {theta[0], theta[1], theta[2], sum * (1 - balance), sum * balance};
  const double value = parametric(same, u, v, gradient);
  const double by_alpha = gradient[3], by_beta = gradient[4];
  gradient[3] = (1 - balance) * by_alpha + balance * by_beta;
  gradient[4] = sum * (by_beta - by_alpha);
  return value;
}

double power(const double* theta, double u, double, double* gradient) {
  gradient[0] = 1;
  gradient[1] = -u;
  return theta[0] - theta[1] * u;
}

double joint(const double* theta, double u, double v, double* gradient) {
  double share;
  const double inner = log_sum(theta[0] - theta[1] * u, theta[2] - v, share);
  gradient[0] = theta[3] * share;
  gradient[1] = -gradient[0] * u;
  gradient[2] = theta[3] * (1 - share);
  gradient[3] = inner;
  return theta[3] * inner;
}

// e^l beside a law of `inner_size` constants; l is the last of θ.
template <size_t inner_size, double (*inner)(const double*, double, double, double*)>
double with_offset(const double* theta, double u, double v, double* gradient) {
  double share;
  const double value = log_sum(inner(theta, u, v, gradient), theta[inner_size], share);
  for (size_t i = 0; i < inner_size; ++i) gradient[i] *= share;
  gradient[inner_size] = 1 - share;
  return value;
}

bool same_predictions(const LawForm& form, const Observations& points, const FormFit& a, const FormFit& b) {
  double unused[kLargestForm];
  for (size_t i = 0; i < points.size(); ++i) {
    const double at_a = form.log_loss(a.theta.data(), points.u[i], points.v[i], unused);
    const double at_b = form.log_loss(b.theta.data(), points.u[i], points.v[i], unused);
    if (std::abs(at_a - at_b) > 1e-4) return false;
  }
  return true;
}

}  // namespace

const LawForm parametric_form{5, parametric};
const LawForm balanced_form{5, balanced};
const LawForm power_form{2, power};
const LawForm offset_power_form{3, with_offset<2, power>};
const LawForm joint_form{4, joint};
const LawForm offset_joint_form{5, with_offset<4, joint>};

void Observations::add(double u_value, double v_value, double loss, size_t run_index) {
  u.push_back(u_value);
  v.push_back(v_value);
  log_loss.push_back(std::log(loss));
  run.push_back(run_index);
}

double huber_sum(const LawForm& form, const Observations& points, const std::vector<double>& run_weight,
                 const double* theta, double* gradient) {
  const double delta = points.delta;
  double sum = 0, slope[kLargestForm];
  std::fill_n(gradient, form.size, 0.0);
  for (size_t i = 0; i < points.size(); ++i) {
    const double weight = run_weight.empty() ? 1 : run_weight[points.run[i]];
    const double residual = form.log_loss(theta, points.u[i], points.v[i], slope) - points.log_loss[i];
    const double distance = std::abs(residual);
    const double pull = std::clamp(residual, -delta, delta) * weight;
    sum += weight * (distance <= delta ? 0.5 * residual * residual : delta * (distance - 0.5 * delta));
    for (size_t k = 0; k < form.size; ++k) gradient[k] += pull * slope[k];
  }
  return sum;
}

std::vector<FormFit> fit_form(const LawForm& form, const Observations& points,
                              const std::vector<std::vector<double>>& starts, int threads, size_t most) {
  const Objective objective = [&](const double* theta, double* gradient) {
    return huber_sum(form, points, {}, theta, gradient);
  };
  std::vector<Minimum> reached(starts.size());
  parallel_for(starts.size(), threads, [&](size_t i) { reached[i] = minimise(objective, starts[i]); });

  std::vector<size_t> order;
  for (size_t i = 0; i < reached.size(); ++i)
    if (reached[i].converged) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return reached[a].value < reached[b].value; });
  std::vector<FormFit> best;
  for (const size_t i : order) {
    if (best.size() == most || (!best.empty() && reached[i].value > 2 * best.front().objective)) break;
    const FormFit fit{reached[i].at, reached[i].value};
    const bool is_new = std::none_of(best.begin(), best.end(), [&](const FormFit& other) {
      return same_predictions(form, points, fit, other);
    });
    if (is_new) best.push_back(fit);
  }
  return best;
}

FormFit refit_form(const LawForm& form, const Observations& points, const std::vector<double>& run_weight,
                   const std::vector<FormFit>& starts) {
  const Objective objective = [&](const double* theta, double* gradient) {
    return huber_sum(form, points, run_weight, theta, gradient);
  };
  FormFit best;
  for (const FormFit& start : starts) {
    const Minimum reached = minimise(objective, start.theta);
    if (reached.converged && (best.theta.empty() || reached.value < best.objective))
      best = {reached.at, reached.value};
  }
  return best;
}

FormFit refit_with(const LawForm& form, const Observations& points, const std::vector<FormFit>& starts,
                   size_t held, double value) {
  const Objective objective = [&](const double* theta, double* gradient) {
    const double sum = huber_sum(form, points, {}, theta, gradient);
    gradient[held] = 0;
    return sum;
  };
  FormFit best;
  for (const FormFit& start : starts) {
    std::vector<double> theta = start.theta;
    theta[held] = value;
    const Minimum reached = minimise(objective, theta);
    if (reached.converged && (best.theta.empty() || reached.value < best.objective))
      best = {reached.at, reached.value};
  }
  return best;
}

double largest_ratio(double least_sum, size_t points) {
  constexpr double kChiSquare = 3.841;  // 95%, one degree of freedom
  const double n = double(points);
  const bool is_laplace = least_sum / n > 0.5 * kHuberDelta * kHuberDelta;
  return std::exp(kChiSquare / (is_laplace ? 2 * n : n));
}

double predict_loss(const LawForm& form, const std::vector<double>& theta, double u, double v) {
  double unused[kLargestForm];
  return std::exp(form.log_loss(theta.data(), u, v, unused));
}

}  // namespace esmscale::laws
