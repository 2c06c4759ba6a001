// The fp32 weights that training updates, as ranges of the flat buffer.
#pragma once

#include "esmscale/config/shard_layout.h"

#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::model {

class Masters {
 public:
  Masters() = default;
  // The whole flat buffer, [P] fp32: a view of it.
  explicit Masters(const at::Tensor& flat);
  // These ranges only, uninitialised, in memory of their own. They are in order and do not overlap; some may
  // be empty.
  Masters(std::vector<config::FlatRange> ranges, const at::Device& device);

  // Views, [size] fp32. `range` lies within one of ranges().
  at::Tensor of(const config::FlatRange& range) const;
  const std::vector<config::FlatRange>& ranges() const { return ranges_; }
  const std::vector<at::Tensor>& values() const { return values_; }  // by range

 private:
  std::vector<config::FlatRange> ranges_;
  std::vector<at::Tensor> values_;
};

}  // namespace esmscale::model
