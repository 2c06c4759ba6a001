// Packed batches and models that a test writes by hand.
#pragma once

#include "esmscale/core/random.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/model/sink.h"
#include "esmscale/model/weights.h"
#include "support/shapes.h"

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros_like.h>

namespace esmscale::model {

using config::model_of;

// What a protein is and what the model sees of it, residue by residue: `_` is <mask>; a lower-case letter
// stands at a chosen residue too (the random and kept ones of BERT's pattern); an upper-case one was not
// chosen.
struct ShownSequence {
  std::string truth;
  std::string shown;
};

inline data::PackedBatch pack(const data::TokenList& tokens, const std::vector<ShownSequence>& sequences,
                              bool has_targets = true) {
  data::PackedBatch batch;
  batch.cu_seqlens.push_back(0);
  for (size_t i = 0; i < sequences.size(); ++i) {
    int32_t masks = 0;
    batch.tokens.push_back(tokens.start());
    for (size_t at = 0; at < sequences[i].shown.size(); ++at) {
      const char shown = sequences[i].shown[at];
      if (has_targets && (shown == '_' || std::islower(static_cast<unsigned char>(shown)))) {
        batch.masked_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
        batch.targets.push_back(tokens.letter(data::letter_code(sequences[i].truth[at])));
      }
      masks += shown == '_';
      batch.tokens.push_back(shown == '_' ? tokens.mask() : tokens.letter(data::letter_code(shown)));
    }
    batch.tokens.push_back(tokens.end());
    batch.cu_seqlens.push_back(static_cast<int32_t>(batch.tokens.size()));
    batch.mask_counts.push_back(masks);
    batch.sequences.push_back(static_cast<int64_t>(i));
  }
  batch.real_tokens = batch.rows();
  batch.real_sequences = static_cast<int64_t>(sequences.size());
  batch.real_masked = static_cast<int64_t>(batch.targets.size());
  return batch;
}

// Odd lengths, a single residue, letters outside the standard twenty, all three ways to show a chosen
// residue, and a sequence of which nothing was chosen.
inline std::vector<ShownSequence> mixed_sequences() {
  return {{"MKTAYIAKQRQISFVKSHFSRQ", "MKTAYI_KQRqIS_VKSHFaRQ"},
          {"M", "_"},
          {"GSHXBUZOMLEDPVDW", "GSHXBUZO_LED_VDW"},
          {"ACDEFGHIK", "ACDEFGHIK"},
          {"MLSDEDFKAVFGMTRSAFANLPLWKQQNLKKEKG", "_LSDEDfKAVFG_TRSAFANL_LWKQQNlKKEKG"}};
}

// The sink of a single process, which also counts.
class CollectedGradients final : public GradientSink {
 public:
  explicit CollectedGradients(const Weights& weights) : times_ready(weights.all.size()) {
    for (const at::Tensor& parameter : weights.all) sums.push_back(at::zeros_like(parameter));
    at_ready.resize(sums.size());
  }
  at::Tensor buffer(size_t p) override { return sums[p]; }
  void ready(size_t p) override {
    ++times_ready[p];
    at_ready[p] = sums[p].clone();
  }

  std::vector<at::Tensor> sums;  // by table index
  std::vector<int> times_ready;
  std::vector<at::Tensor> at_ready;  // what ready(p) found in the buffer
};

// A small model with every part of its weights away from zero, biases and norms too.
inline Weights random_weights(const config::ModelConfig& model, uint64_t seed) {
  Weights weights = make_weights(model, at::kCPU);
  initialise(weights, seed, {});
  for (size_t p = 0; p < weights.table.size(); ++p) {
    const config::ParameterKind kind = weights.table[p].kind;
    if (kind == config::ParameterKind::matrix || kind == config::ParameterKind::embedding) continue;
    RandomStream random(seed, Purpose::test, p);
    float* values = weights.all[p].data_ptr<float>();
    for (int64_t i = 0; i < weights.all[p].numel(); ++i)
      values[i] += static_cast<float>(0.2 * random.normal());
  }
  return weights;
}

}  // namespace esmscale::model
