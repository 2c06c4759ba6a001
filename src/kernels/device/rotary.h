// The projections' bias, q's scale and the rotary positions, there and back. A thread goes through a block of
// rows with four pairs (c, c + K/2) of one head's q, then of its k and v, the bias or the column sums in
// registers.
#pragma once

#include "values.h"

namespace esmscale::kernels::device {

inline constexpr int kPairs = 4;

// Four numbers of the head's first half and the four that they turn with.
struct Pairs {
  Values<kPairs> low, high;
};

// Where a thread's four pairs stand in a row of [H, K], and in a row of angles.
struct PairPlace {
  int64_t low, half, angle;
  ESMSCALE_DEVICE_TOO PairPlace(int64_t group, int64_t head_dim) : half(head_dim / 2) {
    const int64_t groups_of_head = half / kPairs, head = group / groups_of_head;
    angle = (group % groups_of_head) * kPairs;
    low = head * head_dim + angle;
  }
};

template <class T>
ESMSCALE_DEVICE_TOO inline Pairs load_pairs(const T* row, const PairPlace& place) {
  return {load<kPairs>(row + place.low), load<kPairs>(row + place.low + place.half)};
}
template <class T>
ESMSCALE_DEVICE_TOO inline void store_pairs(T* row, const PairPlace& place, const Pairs& x) {
  store(row + place.low, x.low);
  store(row + place.low + place.half, x.high);
}
ESMSCALE_DEVICE_TOO inline void add(Pairs& total, const Pairs& x) {
  for (int i = 0; i < kPairs; ++i) {
    total.low.at[i] += x.low.at[i];
    total.high.at[i] += x.high.at[i];
  }
}

// (low, high) turned by the angle and scaled; `way` −1 turns back.
ESMSCALE_DEVICE_TOO inline void turn(Pairs& x, const RotaryAngles& angles, int64_t row,
                                     const PairPlace& place, float factor, float way) {
  const int64_t at = angles.positions[row] * place.half + place.angle;
  const Values<kPairs> cosine = load<kPairs>(angles.cosines + at), sine = load<kPairs>(angles.sines + at);
  for (int i = 0; i < kPairs; ++i) {
    const float low = x.low.at[i] * factor, high = x.high.at[i] * factor, s = sine.at[i] * way;
    x.low.at[i] = low * cosine.at[i] - high * s;
    x.high.at[i] = high * cosine.at[i] + low * s;
  }
}

template <class T>
ESMSCALE_DEVICE_TOO void column_program(const Rotate<T>& w, int64_t block, int64_t group) {
  const PairPlace place(group, w.head_dim);
  const int64_t width = w.heads * w.head_dim;
  const RowRange rows = rows_of_block(block, w.rows);
  for (int part = w.parts.first, i = 0; i < w.parts.count; ++part, ++i) {
    const Pairs bias = load_pairs(w.bias + part * width, place);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      T* row = w.x + (r * w.parts.count + i) * width;
      Pairs x = load_pairs(row, place);
      add(x, bias);
      if (part < 2) turn(x, w.angles, r, place, part == 0 ? w.scale : 1, 1);
      store_pairs(row, place, x);
    }
  }
}

template <class T>
ESMSCALE_DEVICE_TOO void column_program(const RotateBackward<T>& w, int64_t block, int64_t group) {
  const PairPlace place(group, w.head_dim);
  const int64_t width = w.heads * w.head_dim;
  const RowRange rows = rows_of_block(block, w.rows);
  for (int part = w.parts.first, i = 0; i < w.parts.count; ++part, ++i) {
    const T* from = part == 0 ? w.from[0] : part == 1 ? w.from[1] : w.from[2];  // no array in memory
    Pairs dbias;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      Pairs x = load_pairs(from + r * w.step, place);
      if (part < 2) turn(x, w.angles, r, place, part == 0 ? w.scale : 1, -1);
      store_pairs(w.dx + (r * w.parts.count + i) * width, place, x);
      add(dbias, x);
    }
    store_pairs(w.partials + (block * w.parts.count + i) * width, place, dbias);
  }
}

template <class T>
int64_t groups_of(const Rotate<T>& w) {
  return w.heads * w.head_dim / (2 * kPairs);
}
template <class T>
int64_t groups_of(const RotateBackward<T>& w) {
  return w.heads * w.head_dim / (2 * kPairs);
}

}  // namespace esmscale::kernels::device
