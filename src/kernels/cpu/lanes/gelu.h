// y = z Φ(z);  dy/dz = Φ(z) + z φ(z), φ(z) = exp(−z²/2) / √(2π).
#pragma once

#include "kernels/cpu/lanes/normal.h"

namespace esmscale::kernels::cpu::lanes {
namespace {

void gelu_forward(const GeluForward& w, Range rows) {
  for (int64_t r = rows.begin; r < rows.end; ++r)
    for (int64_t c = 0; c < w.width; c += kLanes) {
      const int64_t at = r * w.width + c, left = w.width - c;
      Vec z = load(w.x + at, left);
      if (w.bias) z += load(w.bias + c, left);
      store(w.y + at, z * normal(z).distribution, left);
    }
}

void gelu_backward(const GeluBackward& w, Range blocks, int64_t all_rows) {
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    float* dbias = w.dbias_partials ? w.dbias_partials + block * w.width : nullptr;
    if (dbias) std::memset(dbias, 0, static_cast<size_t>(w.width) * sizeof(float));
    const Range rows = rows_of({block, block + 1}, all_rows);
    for (int64_t r = rows.begin; r < rows.end; ++r)
      for (int64_t c = 0; c < w.width; c += kLanes) {
        const int64_t at = r * w.width + c, left = w.width - c;
        Vec z = load(w.x + at, left);
        if (w.bias) z += load(w.bias + c, left);
        const Normal n = normal(z);
        const Vec dx = load(w.dy + at, left) * (n.distribution + z * n.bell * 0.39894228040143268f);
        if (w.y) store(w.y + at, z * n.distribution, left);
        store(w.dx + at, dx, left);
        if (dbias) store(dbias + c, load(dbias + c, left) + dx, left);
      }
  }
}

}  // namespace
}  // namespace esmscale::kernels::cpu::lanes
