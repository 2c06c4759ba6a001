// The logistic regression over attention maps that predicts contacts. transformers always builds it, and an
// imported model keeps it in CheckpointInfo::origin.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace esmscale::interop {

struct ContactHead {
  std::vector<float> weight;  // [layers · heads]; empty when the model came without one
  float bias = 0;
};

// All zeros unless `origin` holds a head of that size.
ContactHead contact_head_of(const std::string& origin, int64_t size);

}  // namespace esmscale::interop
