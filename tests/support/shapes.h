// Shapes of models for tests.
#pragma once

#include "esmscale/config/config.h"

namespace esmscale::config {

// The rest is as ModelConfig has it: 29 tokens, token dropout, `xavier`. ffn 0 is 4 · width.
inline ModelConfig model_of(int64_t layers, int64_t width, int64_t heads, int64_t ffn = 0) {
  ModelConfig model;
  model.layers = layers;
  model.width = width;
  model.heads = heads;
  model.ffn = ffn;
  return model;
}

}  // namespace esmscale::config
