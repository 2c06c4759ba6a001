// The contents of a packed batch as the model sees them, sequence by sequence, wherever its rows are.
#pragma once

#include "esmscale/core/error.h"
#include "esmscale/data/loader/batch.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace esmscale::data {

struct Seen {
  int64_t sequence = 0;
  std::vector<int32_t> tokens{};
  std::vector<std::pair<int32_t, int32_t>> masked{};  // row within the sequence, target
  int32_t mask_count = 0;

  auto operator<=>(const Seen&) const = default;
};

inline void append_content(const PackedBatch& batch, std::vector<Seen>& content) {
  int64_t m = 0;
  for (int64_t i = 0; i < batch.real_sequences; ++i) {
    const int32_t begin = batch.cu_seqlens[i], end = batch.cu_seqlens[i + 1];
    Seen seen{.sequence = batch.sequences[i],
              .tokens = {batch.tokens.begin() + begin, batch.tokens.begin() + end},
              .mask_count = batch.mask_counts[i]};
    for (; m < batch.real_masked && batch.masked_rows[m] < end; ++m)
      seen.masked.emplace_back(batch.masked_rows[m] - begin, batch.targets[m]);
    content.push_back(std::move(seen));
  }
}

// What an action says when it throws a usage error; "no usage error" when it does not.
template <class Action>
std::string usage_error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::usage) return error.what();
  }
  return "no usage error";
}

}  // namespace esmscale::data
