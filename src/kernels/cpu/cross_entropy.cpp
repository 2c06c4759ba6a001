#include "esmscale/kernels/cpu/cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace esmscale::kernels::cpu {
namespace {

struct Row {
  double loss;
  bool hit;
};

// −log softmax[target] = log Σ exp(l − largest) − (l[target] − largest); `logits` hold the bias already.
Row row_loss(const CrossEntropy& w, float* logits, int64_t target) {
  const float* top = std::max_element(logits, logits + w.vocabulary);
  const double largest = *top;
  const double above = logits[target] - largest;
  const bool hit = top == logits + target;
  double total = 0;
  for (int64_t v = 0; v < w.vocabulary; ++v) {
    const double weight = std::exp(logits[v] - largest);
    total += weight;
    if (w.gradients) logits[v] = static_cast<float>(weight);
  }
  if (w.gradients) {
    const auto share = static_cast<float>(1 / total);
    for (int64_t v = 0; v < w.vocabulary; ++v) logits[v] *= share;
    // In double: a probability near 1 would leave few digits of the difference.
    logits[target] = static_cast<float>((std::exp(above) - total) / total);
  }
  return {std::log(total) - above, hit};
}

}  // namespace

int64_t cross_entropy(const CrossEntropy& work, Range rows) {
  int64_t hits = 0;
  for (int64_t m = rows.begin; m < rows.end; ++m) {
    float* logits = work.logits + m * work.vocabulary;
    if (work.bias)
      for (int64_t v = 0; v < work.vocabulary; ++v) logits[v] += work.bias[v];
    if (work.targets[m] < 0) {
      work.losses[m] = 0;
      if (work.gradients) std::fill_n(logits, work.vocabulary, 0.0f);
      continue;
    }
    const Row row = row_loss(work, logits, work.targets[m]);
    work.losses[m] = row.loss;
    hits += row.hit;
  }
  return hits;
}

}  // namespace esmscale::kernels::cpu
