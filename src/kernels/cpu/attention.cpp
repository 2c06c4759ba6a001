#include "esmscale/kernels/cpu/attention.h"

#include "esmscale/core/error.h"
#include "kernels/cpu/table.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace esmscale::kernels::cpu {
namespace {

int64_t length_of(std::span<const int32_t> cu_seqlens, size_t sequence) {
  return cu_seqlens[sequence + 1] - cu_seqlens[sequence];
}

void check(const AttentionInputs& in) {
  if (!in.rotary) return;
  if (2 * in.rotary->half() != in.head_dim)
    throw Error({.where = "rotary positions",
                 .expected = "angles for half of a head's " + std::to_string(in.head_dim) + " dimensions",
                 .found = std::to_string(in.rotary->half()) + " angles",
                 .advice = "build the table with head_dim / 2 inverse frequencies; head_dim must be even"});
  for (size_t n = 0; n + 1 < in.cu_seqlens.size(); ++n)
    if (length_of(in.cu_seqlens, n) > in.rotary->max_length())
      throw Error({.where = "rotary positions",
                   .expected = "sequences of at most " + std::to_string(in.rotary->max_length()) + " rows",
                   .found = "one of " + std::to_string(length_of(in.cu_seqlens, n)),
                   .advice = "build the table for the longest sequence"});
}

}  // namespace

RotaryTable::RotaryTable(int64_t max_length, std::span<const float> inv_freq)
    : max_length_(max_length), half_(static_cast<int64_t>(inv_freq.size())) {
  cos_.reserve(static_cast<size_t>(max_length_ * half_));
  sin_.reserve(cos_.capacity());
  for (int64_t position = 0; position < max_length_; ++position)
    for (float frequency : inv_freq) {
      const float angle = static_cast<float>(position) * frequency;
      cos_.push_back(std::cos(angle));
      sin_.push_back(std::sin(angle));
    }
}

void attention_forward(const AttentionForward& work, Range items) {
  if (items.begin >= items.end) return;
  check(work.in);
  active_kernels()->attention_forward(work, items);
}

void attention_backward(const AttentionBackward& work, Range items) {
  if (items.begin >= items.end) return;
  check(work.in);
  active_kernels()->attention_backward(work, items);
}

std::vector<int64_t> attention_cuts(const AttentionInputs& in, int64_t parts) {
  // A head costs its queries × keys, and some fixed work a row (loading, rotation), here set as 16 keys'
  // worth.
  constexpr int64_t kFixed = 16;
  std::vector<int64_t> cost_before{0};
  for (size_t n = 0; n + 1 < in.cu_seqlens.size(); ++n) {
    const int64_t length = length_of(in.cu_seqlens, n);
    int64_t queries = length;
    if (in.query_rows) {
      const auto begin = std::lower_bound(in.query_rows->begin(), in.query_rows->end(), in.cu_seqlens[n]);
      queries = std::lower_bound(begin, in.query_rows->end(), in.cu_seqlens[n + 1]) - begin;
    }
    for (int64_t h = 0; h < in.heads; ++h)
      cost_before.push_back(cost_before.back() + queries * length + kFixed * (queries + length));
  }
  std::vector<int64_t> cuts;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t goal = cost_before.back() / parts * part + cost_before.back() % parts * part / parts;
    cuts.push_back(std::lower_bound(cost_before.begin(), cost_before.end(), goal) - cost_before.begin());
  }
  cuts.push_back(static_cast<int64_t>(cost_before.size()) - 1);
  return cuts;
}

}  // namespace esmscale::kernels::cpu
