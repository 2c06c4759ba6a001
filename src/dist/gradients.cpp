#include "esmscale/dist/gradients.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros_like.h>

namespace esmscale {

FlatGradients::FlatGradients(const Weights& weights)
    : weights_(weights), flat_(at::zeros_like(weights.flat)) {
  for (const Parameter& parameter : weights.table)
    views_.push_back(flat_.narrow(0, parameter.offset, parameter.size()).view(parameter.shape));
}

void FlatGradients::zero() {
  flat_.zero_();
}

std::string FlatGradients::first_non_finite() const {
  for (size_t p = 0; p < views_.size(); ++p)
    if (!at::isfinite(views_[p]).all().item<bool>()) return weights_.table[p].name;
  return "";
}

}  // namespace esmscale
