// The projections' bias, q's scale and the rotary positions, there and back. A thread holds four pairs
// (c, c + K/2) of one head's q, k and v, with their biases or their column sums in registers.
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
  Pairs bias[3];
  for (int part = 0; part < 3; ++part) bias[part] = load_pairs(w.bias + part * width, place);
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r)
    for (int part = 0; part < 3; ++part) {
      T* row = w.qkv + (3 * r + part) * width;
      Pairs x = load_pairs(row, place);
      add(x, bias[part]);
      if (part < 2) turn(x, w.angles, r, place, part == 0 ? w.scale : 1, 1);
      store_pairs(row, place, x);
    }
}

template <class T>
ESMSCALE_DEVICE_TOO void column_program(const RotateBackward<T>& w, int64_t block, int64_t group) {
  const PairPlace place(group, w.head_dim);
  const int64_t width = w.heads * w.head_dim;
  const T* from[3] = {w.dq, w.dk, w.dv};
  Pairs dbias[3];
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r)
    for (int part = 0; part < 3; ++part) {
      Pairs x = load_pairs(from[part] + r * width, place);
      if (part < 2) turn(x, w.angles, r, place, part == 0 ? w.scale : 1, -1);
      store_pairs(w.dqkv + (3 * r + part) * width, place, x);
      add(dbias[part], x);
    }
  for (int part = 0; part < 3; ++part)
    store_pairs(w.partials + (3 * block + part) * width, place, dbias[part]);
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
