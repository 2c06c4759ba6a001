#include "esmscale/optim/adam.h"

#include <algorithm>

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace esmscale::optim {

namespace {

// Norms of rows of so many floats in fp32, their squares added in fp64: no fp64 copy of the gradient is made,
// and no sum depends on the number of threads.
constexpr int64_t kNormRow = 4096;

at::Tensor squared_norm(const at::Tensor& part) {
  const int64_t rows = part.numel() / kNormRow, head = rows * kNormRow;
  const at::Tensor norms = at::linalg_vector_norm(part.narrow(0, 0, head).view({rows, kNormRow}), 2, {1});
  const at::Tensor rest = at::linalg_vector_norm(part.narrow(0, head, part.numel() - head));
  return norms.to(at::kDouble).square().sum() + rest.to(at::kDouble).square();
}

}  // namespace

at::Tensor squared_norm(std::span<const at::Tensor> gradient) {
  at::Tensor sum = squared_norm(gradient.front());
  for (const at::Tensor& part : gradient.subspan(1)) sum += squared_norm(part);
  return sum;
}

GradientScale gradient_scale(const at::Tensor& squared, const at::Tensor& loss_sum, const at::Tensor& masked,
                             double max_norm) {
  const at::Tensor count = at::clamp_min(masked, 1);
  const at::Tensor norm = squared.sqrt() / count;
  const at::Tensor excess = max_norm > 0 ? at::clamp_min(norm / max_norm, 1.0) : at::ones_like(norm);
  const at::Tensor good = at::isfinite(norm).logical_and(at::isfinite(loss_sum)).logical_and(masked.gt(0));
  return {.norm = norm.to(at::kFloat),
          .divisor = (excess * count).to(at::kFloat),
          .found_inf = good.logical_not().to(at::kFloat)};
}

Adam::Adam(const config::OptimizerConfig& config, const model::Weights& weights)
    : Adam(config, weights, {{0, weights.flat.numel()}}) {}

Adam::Adam(const config::OptimizerConfig& config, const model::Weights& weights,
           std::vector<config::Stretch> stretches)
    : config_(config),
      weights_(weights.flat),
      stretches_(std::move(stretches)),
      updates_(at::zeros({}, weights_.options())) {
  for (const config::Stretch& stretch : stretches_) {
    first_.push_back(at::zeros({stretch.size}, weights_.options()));
    second_.push_back(at::zeros({stretch.size}, weights_.options()));
    groups_.push_back(groups_of(stretch, weights.table));
  }
}

std::vector<Adam::DecayGroup> Adam::groups_of(const config::Stretch& stretch,
                                              const std::vector<config::Parameter>& table) const {
  std::vector<DecayGroup> groups{{.weight_decay = config_.weight_decay}, {.weight_decay = 0}};
  for (const config::Parameter& parameter : table) {
    const int64_t begin = std::max(stretch.begin, parameter.offset) - stretch.begin;
    const int64_t end =
        std::min(stretch.begin + stretch.size, parameter.offset + parameter.size()) - stretch.begin;
    if (begin >= end) continue;
    std::vector<config::Stretch>& parts = groups[parameter.decays() ? 0 : 1].parts;
    if (!parts.empty() && parts.back().begin + parts.back().size == begin)
      parts.back().size += end - begin;
    else
      parts.push_back({begin, end - begin});
  }
  return groups;
}

void Adam::step(double lr, std::span<const at::Tensor> gradient, const GradientScale& scale,
                const std::function<void(size_t)>& updated) {
  updates_ += 1;
  for (size_t i = 0; i < stretches_.size(); ++i) {
    const at::Tensor weights = weights_.narrow(0, stretches_[i].begin, stretches_[i].size);
    for (const DecayGroup& group : groups_[i]) {
      if (group.parts.empty()) continue;
      const auto parts = [&](const at::Tensor& whole) {
        std::vector<at::Tensor> views;
        for (const config::Stretch& part : group.parts)
          views.push_back(whole.narrow(0, part.begin, part.size));
        return views;
      };
      at::_fused_adamw_(parts(weights), parts(gradient[i]), parts(first_[i]), parts(second_[i]), {},
                        std::vector<at::Tensor>(group.parts.size(), updates_), lr, config_.betas[0],
                        config_.betas[1], group.weight_decay, config_.eps, /*amsgrad=*/false,
                        /*maximize=*/false, scale.divisor, scale.found_inf);
    }
    if (updated) updated(i);
  }
  updates_ -= scale.found_inf;
}

std::vector<StatePiece> Adam::state(std::span<const config::Stretch> within) const {
  std::vector<StatePiece> pieces;
  for (size_t i = 0; i < within.size(); ++i) {
    const auto [begin, size] = within[i];
    const int64_t offset = begin - stretches_[i].begin;
    if (size > 0)
      pieces.push_back({.begin = begin,
                        .weights = weights_.narrow(0, begin, size),
                        .first_moment = first_[i].narrow(0, offset, size),
                        .second_moment = second_[i].narrow(0, offset, size)});
  }
  return pieces;
}

int64_t Adam::updates() const {
  return static_cast<int64_t>(updates_.item<float>());
}

void Adam::set_updates(int64_t updates) {
  updates_.fill_(static_cast<double>(updates));
}

}  // namespace esmscale::optim
