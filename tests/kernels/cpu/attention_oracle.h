// The oracle of attention: the formulas of kernels/cpu/attention.h in double, loop by loop, with the whole
// [S, S] matrix; and a run of the kernels to compare with it.
#pragma once

#include "esmscale/kernels/cpu/attention.h"
#include "esmscale/kernels/cpu/rows.h"
#include "kernels/support.h"

#include <algorithm>
#include <numeric>

namespace esmscale::kernels::cpu {

struct Problem {
  int64_t heads, head_dim;
  std::vector<int32_t> cu_seqlens;
  Floats qkv, bias, dout;
  RotaryTable rotary;
  bool with_bias = true, with_rotary = true;

  Problem(int64_t h, int64_t k, const std::vector<int32_t>& lengths, double size = 1)
      : heads(h), head_dim(k), cu_seqlens(lengths.size() + 1, 0), rotary(1, {}) {
    std::partial_sum(lengths.begin(), lengths.end(), cu_seqlens.begin() + 1);
    qkv = normals(rows() * 3 * h * k, 1, size);
    bias = normals(3 * h * k, 2);
    dout = normals(rows() * h * k, 3);
    Floats inv_freq;
    for (int64_t i = 0; i < k / 2; ++i)
      inv_freq.push_back(std::pow(10000.0f, -2.0f * static_cast<float>(i) / k));
    rotary = RotaryTable(lengths.empty() ? 1 : *std::max_element(lengths.begin(), lengths.end()), inv_freq);
    with_rotary = k % 2 == 0;
  }

  int64_t rows() const { return cu_seqlens.back(); }
  int64_t sequences() const { return static_cast<int64_t>(cu_seqlens.size()) - 1; }
  int64_t width() const { return heads * head_dim; }
  AttentionInputs inputs() const {
    return {.heads = heads,
            .head_dim = head_dim,
            .cu_seqlens = cu_seqlens,
            .q = {qkv.data(), 3 * width()},
            .k = {qkv.data() + width(), 3 * width()},
            .v = {qkv.data() + 2 * width(), 3 * width()},
            .bias = with_bias ? bias.data() : nullptr,
            .rotary = with_rotary ? &rotary : nullptr,
            .scale = 1 / std::sqrt(static_cast<float>(head_dim))};
  }
};

struct Result {
  Doubles out, lse, dqkv, dbias;  // [T, H, K], [H, T], [T, 3, H, K], [3, H, K]
};

// The oracle's view of one head of one sequence: q, k, v after bias, scale and rotation, [3][S][K].
class Oracle {
 public:
  explicit Oracle(const Problem& problem) : p_(problem) {
    const auto size = [](int64_t n) { return Doubles(static_cast<size_t>(n), 0.0); };
    result_ = {size(p_.rows() * p_.heads * p_.head_dim), size(p_.heads * p_.rows()),
               size(p_.rows() * 3 * p_.heads * p_.head_dim), size(3 * p_.heads * p_.head_dim)};
    for (int64_t n = 0; n < p_.sequences(); ++n)
      for (int64_t h = 0; h < p_.heads; ++h) head(p_.cu_seqlens[n], p_.cu_seqlens[n + 1], h);
  }
  Result result() const { return result_; }

 private:
  int64_t packed(int64_t t, int64_t part, int64_t h) const {
    return ((t * 3 + part) * p_.heads + h) * p_.head_dim;
  }

  // Rotation by +angle (forward) or −angle (its transpose) of one row in place.
  void rotate(Doubles& row, int64_t position, double sign) const {
    if (!p_.with_rotary) return;
    const int64_t half = p_.head_dim / 2;
    for (int64_t i = 0; i < half; ++i) {
      const double c = p_.rotary.cos(position)[i], s = sign * p_.rotary.sin(position)[i];
      const double a = row[i], b = row[i + half];
      row[i] = a * c - b * s;
      row[i + half] = b * c + a * s;
    }
  }

  std::vector<Doubles> part_rows(int64_t begin, int64_t end, int64_t h, int64_t part) const {
    std::vector<Doubles> rows;
    for (int64_t t = begin; t < end; ++t) {
      Doubles row;
      for (int64_t c = 0; c < p_.head_dim; ++c)
        row.push_back(
            (p_.qkv[packed(t, part, h) + c] +
             (p_.with_bias ? static_cast<double>(p_.bias[(part * p_.heads + h) * p_.head_dim + c]) : 0.0)) *
            (part == 0 ? static_cast<double>(p_.inputs().scale) : 1.0));
      if (part < 2) rotate(row, t - begin, 1);
      rows.push_back(row);
    }
    return rows;
  }

  void put(int64_t t, int64_t begin, int64_t part, int64_t h, Doubles row) {
    if (part < 2) rotate(row, t - begin, -1);
    for (int64_t c = 0; c < p_.head_dim; ++c) {
      const double d = row[c] * (part == 0 ? static_cast<double>(p_.inputs().scale) : 1.0);
      result_.dqkv[packed(t, part, h) + c] = d;
      result_.dbias[(part * p_.heads + h) * p_.head_dim + c] += d;
    }
  }

  void head(int64_t begin, int64_t end, int64_t h) {
    const int64_t length = end - begin, dims = p_.head_dim;
    const auto q = part_rows(begin, end, h, 0), k = part_rows(begin, end, h, 1),
               v = part_rows(begin, end, h, 2);
    auto dq = std::vector<Doubles>(length, Doubles(dims, 0.0)), dk = dq, dv = dq;
    const auto dot = [dims](const Doubles& a, const Doubles& b) {
      return std::inner_product(a.begin(), a.begin() + dims, b.begin(), 0.0);
    };
    for (int64_t i = 0; i < length; ++i) {
      const int64_t row = begin + i, at = (row * p_.heads + h) * dims;
      Doubles p(length), dp(length), dout(dims), out(dims, 0.0);
      for (int64_t j = 0; j < length; ++j) p[j] = dot(q[i], k[j]);
      const double top = length ? *std::max_element(p.begin(), p.end()) : 0;
      double total = 0;
      for (double& x : p) total += x = std::exp(x - top);
      result_.lse[h * p_.rows() + row] = top + std::log(total);
      for (int64_t c = 0; c < dims; ++c) dout[c] = p_.dout[at + c];
      for (int64_t j = 0; j < length; ++j) {
        p[j] /= total;
        dp[j] = dot(dout, v[j]);
        for (int64_t c = 0; c < dims; ++c) {
          out[c] += p[j] * v[j][c];
          dv[j][c] += p[j] * dout[c];
        }
      }
      std::copy(out.begin(), out.end(), result_.out.begin() + at);
      const double delta = dot(dout, out);
      for (int64_t j = 0; j < length; ++j)
        for (int64_t c = 0; c < dims; ++c) {
          dq[i][c] += p[j] * (dp[j] - delta) * k[j][c];
          dk[j][c] += p[j] * (dp[j] - delta) * q[i][c];
        }
    }
    for (int64_t i = 0; i < length; ++i) {
      put(begin + i, begin, 0, h, dq[i]);
      put(begin + i, begin, 1, h, dk[i]);
      put(begin + i, begin, 2, h, dv[i]);
    }
  }

  const Problem& p_;
  Result result_;
};

struct Ours {
  Floats out, lse, dqkv, dbias_partials;  // the last [N, 3, H, K]
};

inline HeadRows<float> part_of(Floats& packed, int64_t part, int64_t width) {
  return {packed.data() + part * width, 3 * width};
}

// The kernels, the work cut into `parts` ranges that are run last to first.
inline Ours run(const Problem& p, int64_t parts = 1, bool in_place = false) {
  Ours ours{garbage(p.rows() * p.width()), garbage(p.heads * p.rows()), garbage(p.rows() * 3 * p.width()),
            garbage(p.sequences() * 3 * p.width())};
  AttentionForward forward{p.inputs(), ours.out.data(), ours.lse.data()};
  const auto cuts = attention_cuts(p.inputs(), parts);
  for (int64_t i = parts - 1; i >= 0; --i) attention_forward(forward, {cuts[i], cuts[i + 1]});
  if (in_place) ours.dqkv = p.qkv;
  AttentionBackward backward{.in = p.inputs(),
                             .out = ours.out.data(),
                             .lse = ours.lse.data(),
                             .dout = p.dout.data(),
                             .dq = part_of(ours.dqkv, 0, p.width()),
                             .dk = part_of(ours.dqkv, 1, p.width()),
                             .dv = part_of(ours.dqkv, 2, p.width()),
                             .dbias_partials = ours.dbias_partials.data()};
  if (in_place) {
    backward.in.q.data = backward.dq.data;
    backward.in.k.data = backward.dk.data;
    backward.in.v.data = backward.dv.data;
  }
  for (int64_t i = parts - 1; i >= 0; --i) attention_backward(backward, {cuts[i], cuts[i + 1]});
  return ours;
}

inline Floats total_bias(const Problem& p, const Ours& ours) {
  Floats total = zeros(3 * p.width());
  sum_partials(ours.dbias_partials.data(), p.sequences(), 3 * p.width(), total.data(), {0, 3 * p.width()});
  return total;
}

// Scores are dot products of K terms of size 1, so they are off by about K^½ · 2^-24 and so is a probability,
// relatively; exp2 adds 1.6e-7. Outputs and gradients are sums of such, relative to the array's largest
// number.
inline void expect_as_oracle(const Problem& p, const Ours& ours, double tolerance) {
  const Result oracle = Oracle(p).result();
  expect_near_all(ours.out, oracle.out, tolerance, "out");
  expect_near_all(ours.lse, oracle.lse, tolerance, "lse");
  expect_near_all(ours.dqkv, oracle.dqkv, tolerance, "dqkv");
  expect_near_all(total_bias(p, ours), oracle.dbias, tolerance, "dbias");
}

}  // namespace esmscale::kernels::cpu
