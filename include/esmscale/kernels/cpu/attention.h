// Bidirectional attention over packed sequences, with what surrounds it: the bias of the q, k, v projections,
// the scale of q, and rotary positions (Su et al. 2021, rotate_half form) that restart in every sequence. For
// H heads of K dimensions and sequence n's rows,
//   q = rotate(scale · (x_q + b_q)),  k = rotate(x_k + b_k),  v = x_v + b_v,  out = softmax(q kᵀ) v.
// One work item is one head of one sequence: item n · H + h. Nothing of size [S, S] is kept: the forward pass
// saves the log of the softmax's denominator, and the backward pass computes the scores again (Dao et al.
// 2022).
#pragma once

#include "esmscale/kernels/cpu/range.h"

#include <optional>
#include <span>
#include <vector>

namespace esmscale::kernels::cpu {

// cos and sin of position · inv_freq, the angle being an fp32 product.
class RotaryTable {
 public:
  RotaryTable(int64_t max_length, std::span<const float> inv_freq);  // inv_freq: [K / 2]

  int64_t max_length() const { return max_length_; }
  int64_t half() const { return half_; }
  const float* cos(int64_t position) const { return cos_.data() + position * half_; }  // [K / 2]
  const float* sin(int64_t position) const { return sin_.data() + position * half_; }

 private:
  int64_t max_length_, half_;
  std::vector<float> cos_, sin_;  // [max_length, K / 2]
};

// One of q, k, v or a gradient of theirs: [rows, H, K], `step` numbers from row to row. Of projections packed
// as [T, 3, H, K] the three are {qkv, 3HK}, {qkv + HK, 3HK}, {qkv + 2HK, 3HK}.
template <class Number>
struct HeadRows {
  Number* data = nullptr;
  int64_t step = 0;
};

struct AttentionInputs {
  int64_t heads = 0;
  int64_t head_dim = 0;                 // any; even with rotary. Multiples of 8 are fast
  std::span<const int32_t> cu_seqlens;  // [N + 1]: rows cu_seqlens[n] … cu_seqlens[n + 1] − 1, or none
  HeadRows<const float> q;              // [Q, H, K] projections before the bias
  HeadRows<const float> k, v;           // [T, H, K], T = cu_seqlens[N]
  const float* bias = nullptr;          // [3, H, K] of q, k, v; null: none
  const RotaryTable* rotary = nullptr;  // as long as the longest sequence; null: no positions
  float scale = 1;                      // of q, K^-½ in ESM-2

  // [Q] the batch's rows that have a query, ascending, each once; nullopt: every row has one, Q = T. A
  // network's last attention needs queries only at the positions that the loss is taken at.
  std::optional<std::span<const int64_t>> query_rows;

  int64_t items() const { return (static_cast<int64_t>(cu_seqlens.size()) - 1) * heads; }
  int64_t queries() const {
    return query_rows ? static_cast<int64_t>(query_rows->size()) : cu_seqlens.back();
  }
};

struct AttentionForward {
  AttentionInputs in;
  float* out = nullptr;  // [Q, H, K]
  float* lse = nullptr;  // [H, Q] natural log of the sum of exp(score) over a query's keys
};

// A rotary table that does not fit the head or the sequences is an Error.
void attention_forward(const AttentionForward& work, Range items);

struct AttentionBackward {
  AttentionInputs in;
  const float* out = nullptr;       // [Q, H, K] of the forward pass
  const float* lse = nullptr;       // [H, Q] of the forward pass
  const float* dout = nullptr;      // [Q, H, K]
  HeadRows<float> dq, dk, dv;       // of the projections, written; may be in.q, in.k, in.v
  float* dbias_partials = nullptr;  // [N, 3, H, K] column sums by sequence, for sum_partials(); null: none
};

void attention_backward(const AttentionBackward& work, Range items);

// The parts + 1 borders of `parts` consecutive ranges of items of about equal cost (queries × keys).
std::vector<int64_t> attention_cuts(const AttentionInputs& in, int64_t parts);

}  // namespace esmscale::kernels::cpu
