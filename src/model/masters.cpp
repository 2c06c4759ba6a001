#include "esmscale/model/masters.h"

#include <algorithm>

#include <ATen/ops/empty.h>

namespace esmscale::model {

Masters::Masters(const at::Tensor& flat) : ranges_{{0, flat.numel()}}, values_{flat} {}

Masters::Masters(std::vector<config::FlatRange> ranges, const at::Device& device)
    : ranges_(std::move(ranges)) {
  for (const config::FlatRange& range : ranges_)
    values_.push_back(at::empty({range.size}, at::TensorOptions().dtype(at::kFloat).device(device)));
}

at::Tensor Masters::of(const config::FlatRange& range) const {
  // The last one that does not begin after it; empty ranges at the same place come first.
  const auto next = std::upper_bound(ranges_.begin(), ranges_.end(), range.begin,
                                     [](int64_t begin, const auto& one) { return begin < one.begin; });
  const auto i = static_cast<size_t>(next - ranges_.begin()) - 1;
  return values_[i].narrow(0, range.begin - ranges_[i].begin, range.size);
}

}  // namespace esmscale::model
