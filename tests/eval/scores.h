// Scores that no model made.
#pragma once

#include "esmscale/core/random.h"
#include "esmscale/eval/evaluator.h"

#include <vector>

namespace esmscale::eval {

// Scores of unequal clusters, whose loss per position differs from sequence to sequence.
inline std::vector<SequenceScore> random_scores(size_t n, uint64_t stream_index = 0) {
  RandomStream random(3, Purpose::test, stream_index);
  std::vector<SequenceScore> scores(n);
  for (size_t i = 0; i < n; ++i) {
    SequenceScore& s = scores[i];
    s.sequence = static_cast<int64_t>(i);
    s.masked = 1 + random.below(40);
    s.tokens = 7 * s.masked;
    s.inner_masked = s.masked - 1;
    s.hits = random.below(static_cast<uint32_t>(s.masked) + 1);
    s.loss = static_cast<double>(s.masked) * (2.5 + 0.3 * random.normal());
    s.baseline = 2.7 * static_cast<double>(s.masked);
    s.inner_loss = s.loss - 2;
    s.inner_baseline = s.baseline - 2.5;
  }
  return scores;
}

}  // namespace esmscale::eval
