// Test cases as JSON: a shape and what is shown of each sequence (scripts/make_golden.py,
// scripts/reference/esm.py).
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/core/safetensors.h"
#include "golden/rule.h"
#include "support/batches.h"
#include "support/paths.h"

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::golden {

inline std::filesystem::path golden_folder() {
  return source_folder() / "tests/golden/data";
}

inline std::vector<model::ShownSequence> sequences_of(const Json& list) {
  std::vector<model::ShownSequence> sequences;
  for (const Json& sequence : list) sequences.push_back({sequence.at("truth"), sequence.at("shown")});
  return sequences;
}

inline config::ModelConfig shape_of(const Json& shape) {
  config::ModelConfig model =
      model::model_of(shape.at("layers"), shape.at("width"), shape.at("heads"), shape.at("ffn"));
  shape.at("alphabet").get_to(model.alphabet);
  shape.at("token_dropout").get_to(model.token_dropout);
  return model;
}

inline at::Tensor golden_tensor(const SafetensorsFile& file, const std::string& name) {
  const TensorEntry& entry = *file.find(name);
  const at::Tensor tensor = at::empty(entry.shape, at::kFloat);
  std::memcpy(tensor.data_ptr(), file.bytes(entry).data(), tensor.nbytes());
  return tensor;
}

// Weights of a case, by the rule; rotary frequencies as the case has them (rounded to fp16 or not).
inline model::Weights weights_of(const Json& shape) {
  model::Weights weights = model::make_weights(shape_of(shape), at::kCPU);
  fill_by_rule(weights);
  if (shape.value("rounded_rotary", false)) weights.inv_freq.copy_(weights.inv_freq.to(at::kHalf));
  return weights;
}

}  // namespace esmscale::golden
