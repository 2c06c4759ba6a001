#include "esmscale/optim/adam.h"

#include <algorithm>

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace esmscale {

at::Tensor squared_norm(const at::Tensor& flat_gradient) {
  return at::linalg_vector_norm(flat_gradient, 2, {}, false, at::kDouble).square();
}

GradientScale gradient_scale(const at::Tensor& squared, const at::Tensor& loss_sum, int64_t masked,
                             double max_norm) {
  const double count = static_cast<double>(std::max<int64_t>(1, masked));
  const at::Tensor norm = squared.sqrt() / count;
  const at::Tensor excess = max_norm > 0 ? at::clamp_min(norm / max_norm, 1.0) : at::ones_like(norm);
  const at::Tensor finite = at::isfinite(norm).logical_and(at::isfinite(loss_sum));
  const at::Tensor skip = masked > 0 ? finite.logical_not() : at::ones_like(finite);
  return {.norm = norm.to(at::kFloat),
          .divisor = (excess * count).to(at::kFloat),
          .found_inf = skip.to(at::kFloat)};
}

Adam::Adam(const OptimizerConfig& config, const Weights& weights, int64_t begin, int64_t end)
    : config_(config),
      weights_(weights.flat.narrow(0, begin, end - begin)),
      first_(at::zeros_like(weights_)),
      second_(at::zeros_like(weights_)),
      updates_(at::zeros({}, weights_.options())) {
  for (const Parameter& parameter : weights.table) {
    const int64_t from = std::max(begin, parameter.offset),
                  to = std::min(end, parameter.offset + parameter.size());
    const double decay = parameter.decays() ? config.weight_decay : 0;
    if (from >= to) continue;
    if (!runs_.empty() && runs_.back().weight_decay == decay)
      runs_.back().end = to - begin;
    else
      runs_.push_back({from - begin, to - begin, decay});
  }
}

void Adam::step(double lr, const at::Tensor& gradient, const GradientScale& scale) {
  updates_ += 1;
  for (const Run& run : runs_) {
    const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, run.begin, run.end - run.begin); };
    at::_fused_adamw_({part(weights_)}, {part(gradient)}, {part(first_)}, {part(second_)}, {}, {updates_}, lr,
                      config_.betas[0], config_.betas[1], run.weight_decay, config_.eps, /*amsgrad=*/false,
                      /*maximize=*/false, scale.divisor, scale.found_inf);
  }
  updates_ -= scale.found_inf;
}

int64_t Adam::updates() const {
  return static_cast<int64_t>(updates_.item<float>());
}

void Adam::set_updates(int64_t updates) {
  updates_.fill_(static_cast<double>(updates));
}

}  // namespace esmscale
