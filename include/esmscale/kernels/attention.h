// Bidirectional attention over packed sequences, with what surrounds it: the bias of the q, k, v projections,
// the scale of q, and rotary positions (Su et al. 2021, rotate_half form) that restart in every sequence. For
// H heads of K dimensions and sequence n's rows,
//   q = rotate(scale · (x_q + b_q)),  k = rotate(x_k + b_k),  v = x_v + b_v,  out = softmax(q kᵀ) v.
// One work item is one head of one sequence: item n · H + h. Nothing of size [S, S] is kept: the forward pass
// saves the log of the softmax's denominator, and the backward pass computes the scores once more (Dao et al.
// 2022).
#pragma once

#include "esmscale/kernels/range.h"

#include <span>
#include <vector>

namespace esmscale::kernels {

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

struct AttentionInputs {
  int64_t heads = 0;
  int64_t head_dim = 0;  // any; even with rotary. Multiples of 8 are the quick ones
  std::span<const int32_t>
      cu_seqlens;  // [N + 1] rows of sequence n: cu_seqlens[n] … cu_seqlens[n + 1]; may be empty
  const float* qkv = nullptr;           // [T, 3, H, K] projections before the bias
  const float* bias = nullptr;          // [3, H, K]; null: none
  const RotaryTable* rotary = nullptr;  // as long as the longest sequence; null: no positions
  float scale = 1;                      // of q, K^-½ in ESM-2

  int64_t items() const { return (static_cast<int64_t>(cu_seqlens.size()) - 1) * heads; }
};

struct AttentionForward {
  AttentionInputs in;
  float* out = nullptr;  // [T, H, K]
  float* lse = nullptr;  // [H, T] natural log of the sum of exp(score) over a row's keys
};

// A rotary table that does not fit the head or the sequences is an Error.
void attention_forward(const AttentionForward& work, Range items);

struct AttentionBackward {
  AttentionInputs in;
  const float* out = nullptr;   // [T, H, K] of the forward pass
  const float* lse = nullptr;   // [H, T] of the forward pass
  const float* dout = nullptr;  // [T, H, K]
  float* dqkv = nullptr;        // [T, 3, H, K] written; may be in.qkv
  float* dbias_partials =
      nullptr;  // [N, 3, H, K] column sums of dqkv per sequence, for sum_partials(); null: none
};

void attention_backward(const AttentionBackward& work, Range items);

// Cuts the items into `parts` consecutive ranges of about equal cost (cost grows with length²): parts + 1
// borders.
std::vector<int64_t> attention_cuts(std::span<const int32_t> cu_seqlens, int64_t heads, int64_t parts);

}  // namespace esmscale::kernels
