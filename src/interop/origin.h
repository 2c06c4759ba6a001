// Facts that an imported model keeps in addition to its weights (CheckpointInfo::origin), so that an export
// can give it back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace esmscale::interop {

inline constexpr const char* kContactWeight = "esm.contact_head.regression.weight";
inline constexpr const char* kContactBias = "esm.contact_head.regression.bias";

// The logistic regression over attention maps that predicts contacts. transformers always builds it; esmscale
// does not use it.
struct ContactHead {
  std::vector<float> weight;  // [layers · heads]; empty when the model came without one
  float bias = 0;
};

// JSON: the folder's config.json (its text) and the head.
std::string origin_of(const std::string& config, const ContactHead& head);
// All zeros unless `origin` holds a head of that size.
ContactHead contact_head_of(const std::string& origin, int64_t size);

}  // namespace esmscale::interop
