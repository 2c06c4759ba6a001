// The published ESM-2 shapes, for tests.
#pragma once

#include "support/shapes.h"

namespace esmscale::accounting {

inline config::ModelConfig esm2(int64_t layers, int64_t width, int64_t heads, int64_t tokens = 33) {
  config::ModelConfig model = config::model_of(layers, width, heads);
  model.alphabet = tokens;
  return model;
}

inline config::ModelConfig esm2_8M(int64_t tokens = 33) {
  return esm2(6, 320, 20, tokens);
}
inline config::ModelConfig esm2_35M(int64_t tokens = 33) {
  return esm2(12, 480, 20, tokens);
}
inline config::ModelConfig esm2_150M(int64_t tokens = 33) {
  return esm2(30, 640, 20, tokens);
}
inline config::ModelConfig esm2_650M(int64_t tokens = 33) {
  return esm2(33, 1280, 20, tokens);
}

}  // namespace esmscale::accounting
