// What a micro-batch takes on a rank: the tensors that forward leaves for backward, and the workspace of
// backward itself.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/config/engine_choice.h"

#include <cstdint>

namespace esmscale::accounting {

inline constexpr int64_t kFloat = 4;  // bytes

bool is_bf16(const config::RunConfig& config);

// The sizes that shapes are made of (P: rows with the padding that attention adds for itself), and the
// element size of what blocks compute with.
struct Shapes {
  double T, P, M, D, F, H, K, V;
  int64_t compute;
  bool efficient_attention;

  Shapes(const config::RunConfig& config, int ranks, config::DeviceKind device);
};

// Bytes of what forward leaves for backward.
double activation_bytes(const config::RunConfig& config, config::DeviceKind device, const Shapes& shapes);

// Bytes that backward takes beyond them, at the most.
double workspace_bytes(const config::RunConfig& config, config::DeviceKind device, const Shapes& shapes);

}  // namespace esmscale::accounting
