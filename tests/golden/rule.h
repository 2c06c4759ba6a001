// Weights from a rule that scripts/reference/esm.py computes too, so that fixtures need not hold them.
#pragma once

#include "esmscale/interop/hugging_face.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

namespace esmscale::golden {

// Numbers in [-1, 1), exact in fp32: the key's FNV-1a hash and the index, mixed.
inline at::Tensor unit_values(std::string_view key, int64_t count) {
  uint32_t state = 2166136261u;
  for (const char byte : key) state = (state ^ static_cast<unsigned char>(byte)) * 16777619u;
  const at::Tensor values = at::empty({count}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    uint32_t x = static_cast<uint32_t>(i) * 0x9E3779B9u + state;
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    x ^= x >> 16;
    values.data_ptr<float>()[i] = (static_cast<float>(x >> 8) - 8388608.0f) / 8388608.0f;
  }
  return values;
}

// Matrices: variance 1 / columns; norm weights: 1 ± ¼; every bias: ± ¼.
inline void fill_by_rule(model::Weights& weights) {
  for (size_t p = 0; p < weights.table.size(); ++p)
    for (const interop::HuggingFaceTensor& part : interop::hugging_face_tensors(weights.table[p])) {
      const at::Tensor rows = weights.all[p].narrow(0, part.first_row, part.rows);
      at::Tensor values = unit_values(part.key, rows.numel()).view(rows.sizes());
      if (rows.dim() == 2)
        values.mul_(static_cast<float>(std::sqrt(3.0 / static_cast<double>(rows.size(1)))));
      else
        values.mul_(0.25f).add_(weights.table[p].kind == config::ParameterKind::norm_weight ? 1.0f : 0.0f);
      rows.copy_(values);
    }
}

}  // namespace esmscale::golden
