// The projections' bias, q's scale and the rotary positions, there and back. A thread goes through a block of
// rows with some pairs (c, c + K/2) of one head's q, k and v, their biases or column sums in registers.
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

// Of one row, for q and k alike.
struct Angle {
  Values<kPairs> cosine, sine;
  ESMSCALE_DEVICE_TOO Angle(const RotaryAngles& angles, int64_t row, const PairPlace& place) {
    const int64_t at = angles.positions[row] * place.half + place.angle;
    cosine = load<kPairs>(angles.cosines + at);
    sine = load<kPairs>(angles.sines + at);
  }
  // (low, high) turned and scaled; `way` −1 turns back.
  ESMSCALE_DEVICE_TOO void turn(Pairs& x, float factor, float way) const {
    for (int i = 0; i < kPairs; ++i) {
      const float low = x.low.at[i] * factor, high = x.high.at[i] * factor, s = sine.at[i] * way;
      x.low.at[i] = low * cosine.at[i] - high * s;
      x.high.at[i] = high * cosine.at[i] + low * s;
    }
  }
};

// f(part, its place among the array's parts) for those that it has.
template <class F>
ESMSCALE_DEVICE_TOO inline void for_each_part(const Parts& parts, F&& f) {
  ESMSCALE_UNROLL
  for (int part = 0; part < 3; ++part)
    if (part >= parts.first && part < parts.first + parts.count) f(part, part - parts.first);
}

template <class T>
ESMSCALE_DEVICE_TOO void column_program(const Rotate<T>& w, int64_t block, int64_t group) {
  const PairPlace place(group, w.head_dim);
  const int64_t width = w.heads * w.head_dim;
  Pairs bias[3], x[3];
  for_each_part(w.parts, [&](int part, int) { bias[part] = load_pairs(w.bias + part * width, place); });
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    T* row = w.x + r * w.step;
    for_each_part(w.parts, [&](int part, int i) { x[part] = load_pairs(row + i * width, place); });
    const Angle angle(w.angles, r, place);
    for_each_part(w.parts, [&](int part, int i) {
      add(x[part], bias[part]);
      if (part < 2) angle.turn(x[part], part == 0 ? w.scale : 1, 1);
      store_pairs(row + i * width, place, x[part]);
    });
  }
}

template <class T>
ESMSCALE_DEVICE_TOO void column_program(const RotateBackward<T>& w, int64_t block, int64_t group) {
  const PairPlace place(group, w.head_dim);
  const int64_t width = w.heads * w.head_dim;
  Pairs dbias[3], x[3];
  const RowRange rows = rows_of_block(block, w.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    for_each_part({}, [&](int part, int) { x[part] = load_pairs(w.from[part] + r * width, place); });
    const Angle angle(w.angles, r, place);
    for_each_part({}, [&](int part, int) {
      if (part < 2) angle.turn(x[part], part == 0 ? w.scale : 1, -1);
      store_pairs(w.dx + (3 * r + part) * width, place, x[part]);
      add(dbias[part], x[part]);
    });
  }
  for_each_part(
      {}, [&](int part, int) { store_pairs(w.partials + (3 * block + part) * width, place, dbias[part]); });
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
