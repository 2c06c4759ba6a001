// Parameters by Kaplan's scheme (Kaplan et al. 2020, Table 1: no biases, no LayerNorms) and FLOPs by
// Hoffmann's protocol (Hoffmann et al. 2022, Appendix F) plus the RoBERTa head. d = width, f = FFN width, L =
// layers, V = vocabulary, S = rows of a sequence, h = heads; ESM-2's attention is as wide as the model:
// d_attn = d.
#pragma once

#include "esmscale/config/config.h"

#include <cstdint>

namespace esmscale::accounting {

struct ParameterCounts {
  int64_t embedding = 0;             // V·d
  int64_t attention = 0;             // L·4·d·d: QKV and the output projection
  int64_t ffn = 0;                   // L·2·d·f
  int64_t head_dense = 0;            // d·d
  int64_t head_decoder = 0;          // 0: tied to the embedding
  int64_t kaplan_non_embedding = 0;  // attention + ffn = 2·d·L·(2·d_attn + f): N
  int64_t trainable = 0;             // exact: biases and LayerNorms too

  int64_t kaplan_with_head() const { return kaplan_non_embedding + head_dense; }
};

// Summed over the parameter table. `model.alphabet` may be any V here.
ParameterCounts count_parameters(const config::ModelConfig& model);

// Forward FLOPs, one multiply-add counting two. The head counts every row of the sequence.
struct ForwardFlops {
  double embedding = 0;          // 2·S·V·d
  double qkv = 0;                // L·2·3·S·d·d_attn
  double attention_logits = 0;   // L·2·S·S·d_attn
  double attention_softmax = 0;  // L·3·h·S·S
  double attention_values = 0;   // L·2·S·S·d_attn
  double attention_output = 0;   // L·2·S·d_attn·d
  double ffn = 0;                // L·4·S·d·f
  double head_dense = 0;         // 2·S·d·d
  double head_decoder = 0;       // 2·S·d·V

  double total() const;
};

// One sequence of `sequence_length` rows.
ForwardFlops forward_flops(const config::ModelConfig& model, double sequence_length);
// Any set of sequences: tokens = Σ S, squared_tokens = Σ S². The means of a data set give its mean sequence.
ForwardFlops forward_flops(const config::ModelConfig& model, double tokens, double squared_tokens);

// FLOPs that a training step leaves out where, after keys and values, its last block computes the `masked`
// rows only.
double flops_pruned_at_the_end(config::ModelConfig model, double tokens, double squared_tokens,
                               double masked);

// The same counts for a whole run, cheap enough for every step. Training is 3 × forward: backward is 2 ×
// forward.
class FlopCounter {
 public:
  explicit FlopCounter(const config::ModelConfig& model);

  // Hoffmann's count for any set of sequences: tokens = Σ S, squared_tokens = Σ S².
  double training(double tokens, double squared_tokens) const;
  // The FLOPs that are executed: the embedding is a gather and the head runs on masked positions only. The
  // basis of MFU.
  double executed(double tokens, double squared_tokens, double masked_positions) const;
  // 6·N·D, N = kaplan_non_embedding.
  double six_n_d(double tokens) const;

 private:
  double linear_, quadratic_, executed_linear_, head_per_position_, n_;
};

// FLOPs of the optimiser in one step: muon and normuon orthogonalise the hidden matrices, once in the whole
// group of ranks. Element-wise work counts as 0, as in all counts here. The counts above do not include it.
double update_flops(const config::RunConfig& config);

}  // namespace esmscale::accounting
