// The projections' bias, q's scale and the rotary positions, there and back. A thread goes through a block of
// rows with some pairs (c, c + K/2) of one head's q, k or v, their biases or column sums in registers.
#pragma once

#include "kernels/gpu/programs/values.h"

namespace esmscale::kernels::gpu {

inline constexpr int kPairs = 4;

// Four numbers of the head's first half and the four that they turn with.
struct Pairs {
  Values<kPairs> low, high;
};

// Offsets of a thread's four pairs in a row of [H, K], and in a row of angles.
struct PairPlace {
  int64_t low, half, angle;
  ESMSCALE_HOST_DEVICE PairPlace(int64_t group, int64_t head_dim) : half(head_dim / 2) {
    const int64_t groups_of_head = half / kPairs, head = group / groups_of_head;
    angle = (group % groups_of_head) * kPairs;
    low = head * head_dim + angle;
  }
};

template <class T>
ESMSCALE_HOST_DEVICE inline Pairs load_pairs(const T* row, const PairPlace& place) {
  return {load<kPairs>(row + place.low), load<kPairs>(row + place.low + place.half)};
}
template <class T>
ESMSCALE_HOST_DEVICE inline void store_pairs(T* row, const PairPlace& place, const Pairs& x) {
  store(row + place.low, x.low);
  store(row + place.low + place.half, x.high);
}
ESMSCALE_HOST_DEVICE inline void add(Pairs& total, const Pairs& x) {
  for (int i = 0; i < kPairs; ++i) {
    total.low.at[i] += x.low.at[i];
    total.high.at[i] += x.high.at[i];
  }
}

// The angles of one row.
struct Angle {
  Values<kPairs> cosine, sine;
  ESMSCALE_HOST_DEVICE Angle(const RotaryAngles& angles, int64_t row, const PairPlace& place) {
    const int64_t at = angles.positions[row] * place.half + place.angle;
    cosine = load<kPairs>(angles.cosines + at);
    sine = load<kPairs>(angles.sines + at);
  }
  // (low, high) turned and scaled; `way` −1 turns back.
  ESMSCALE_HOST_DEVICE void turn(Pairs& x, float factor, float way) const {
    for (int i = 0; i < kPairs; ++i) {
      const float low = x.low.at[i] * factor, high = x.high.at[i] * factor, s = sine.at[i] * way;
      x.low.at[i] = low * cosine.at[i] - high * s;
      x.high.at[i] = high * cosine.at[i] + low * s;
    }
  }
};

// What a thread has of a row: four pairs of one part.
struct PartPlace {
  int64_t part;  // among the array's
  PairPlace pairs;
  ESMSCALE_HOST_DEVICE PartPlace(int64_t group, int64_t heads, int64_t head_dim)
      : part(group / (heads * head_dim / (2 * kPairs))),
        pairs(group % (heads * head_dim / (2 * kPairs)), head_dim) {}
};

template <class T>
struct FetchedPairs {
  Chunk<kPairs, T> low, high;
};
template <class T>
ESMSCALE_HOST_DEVICE inline FetchedPairs<T> fetch_pairs(const T* row, const PairPlace& place) {
  return {fetch<kPairs>(row + place.low), fetch<kPairs>(row + place.low + place.half)};
}
template <class T>
ESMSCALE_HOST_DEVICE inline Pairs widened(const FetchedPairs<T>& x) {
  return {widened(x.low), widened(x.high)};
}

template <class T>
ESMSCALE_HOST_DEVICE void column_program(const Rotate<T>& w, int64_t block, int64_t group) {
  const int64_t width = w.heads * w.head_dim;
  const PartPlace own(group, w.heads, w.head_dim);
  const PairPlace& place = own.pairs;
  const int64_t part = w.parts.first + own.part;
  const Pairs bias = load_pairs(w.bias + part * width, place);
  const auto at = [&](int64_t row) { return w.x + row * w.step + own.part * width; };
  for_each_row<4>(
      rows_of_block(block, w.rows), [&](int64_t row) { return fetch_pairs(at(row), place); },
      [&](int64_t row, const FetchedPairs<T>& fetched) {
        Pairs x = widened(fetched);
        add(x, bias);
        if (part < 2) Angle(w.angles, row, place).turn(x, part == 0 ? w.scale : 1, 1);
        store_pairs(at(row), place, x);
      });
}

template <class T>
ESMSCALE_HOST_DEVICE void column_program(const RotateBackward<T>& w, int64_t block, int64_t group) {
  const int64_t width = w.heads * w.head_dim;
  const PartPlace own(group, w.heads, w.head_dim);
  const PairPlace& place = own.pairs;
  const int64_t part = own.part;
  const T* from = part == 0 ? w.from[0] : part == 1 ? w.from[1] : w.from[2];
  T* to = w.dx + part * width;
  Pairs dbias;
  for_each_row<2>(
      rows_of_block(block, w.rows), [&](int64_t row) { return fetch_pairs(from + row * width, place); },
      [&](int64_t row, const FetchedPairs<T>& fetched) {
        Pairs x = widened(fetched);
        if (part < 2) Angle(w.angles, row, place).turn(x, part == 0 ? w.scale : 1, -1);
        store_pairs(to + row * 3 * width, place, x);
        add(dbias, x);
      });
  store_pairs(w.partials + (3 * block + part) * width, place, dbias);
}

template <class T>
int64_t groups_of(const Rotate<T>& w) {
  return w.parts.count * w.heads * w.head_dim / (2 * kPairs);
}
template <class T>
int64_t groups_of(const RotateBackward<T>& w) {
  return 3 * w.heads * w.head_dim / (2 * kPairs);
}

}  // namespace esmscale::kernels::gpu
