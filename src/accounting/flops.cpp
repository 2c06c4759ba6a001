#include "esmscale/accounting/flops.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/config/parameters.h"

namespace esmscale::accounting {
namespace {

constexpr double kTrainingOverForward = 3;

double head(const ForwardFlops& forward) {
  return forward.head_dense + forward.head_decoder;
}

}  // namespace

ParameterCounts count_parameters(const config::ModelConfig& model) {
  const std::vector<config::Parameter> table = config::parameter_table(model);
  const auto weights_of = [&table](config::ParameterPart part) {
    int64_t sum = 0;
    for (const config::Parameter& p : table)
      if (p.part == part &&
          (p.kind == config::ParameterKind::matrix || p.kind == config::ParameterKind::embedding))
        sum += p.size();
    return sum;
  };
  ParameterCounts counts{.embedding = weights_of(config::ParameterPart::embedding),
                         .attention = weights_of(config::ParameterPart::attention),
                         .ffn = weights_of(config::ParameterPart::ffn),
                         .head_dense = weights_of(config::ParameterPart::head_dense),
                         .head_decoder = weights_of(config::ParameterPart::head_decoder),
                         .trainable = config::total_size(table)};
  counts.kaplan_non_embedding = counts.attention + counts.ffn;
  return counts;
}

double ForwardFlops::total() const {
  return embedding + qkv + attention_logits + attention_softmax + attention_values + attention_output + ffn +
         head_dense + head_decoder;
}

ForwardFlops forward_flops(const config::ModelConfig& model, double sequence_length) {
  return forward_flops(model, sequence_length, sequence_length * sequence_length);
}

ForwardFlops forward_flops(const config::ModelConfig& model, double tokens, double squared_tokens) {
  const auto L = static_cast<double>(model.layers), d = static_cast<double>(model.width),
             h = static_cast<double>(model.heads), f = static_cast<double>(model.ffn_dim()),
             V = static_cast<double>(model.alphabet);
  const double d_attn = h * static_cast<double>(model.head_dim());
  return {.embedding = 2 * tokens * V * d,
          .qkv = L * 2 * 3 * tokens * d * d_attn,
          .attention_logits = L * 2 * squared_tokens * d_attn,
          .attention_softmax = L * 3 * h * squared_tokens,
          .attention_values = L * 2 * squared_tokens * d_attn,
          .attention_output = L * 2 * tokens * d_attn * d,
          .ffn = L * 4 * tokens * d * f,
          .head_dense = 2 * tokens * d * d,
          .head_decoder = 2 * tokens * d * V};
}

double flops_pruned_at_the_end(config::ModelConfig model, double tokens, double squared_tokens,
                               double masked) {
  model.layers = 1;
  const ForwardFlops block = forward_flops(model, tokens, squared_tokens);
  const double after_keys = block.qkv / 3 + block.attention_logits + block.attention_softmax +
                            block.attention_values + block.attention_output + block.ffn;
  return 3 * after_keys * (1 - masked / tokens);
}

FlopCounter::FlopCounter(const config::ModelConfig& model) {
  const ForwardFlops per_row = forward_flops(model, 1, 0);
  const ForwardFlops per_squared_row = forward_flops(model, 0, 1);
  linear_ = kTrainingOverForward * per_row.total();
  quadratic_ = kTrainingOverForward * per_squared_row.total();
  head_per_position_ = kTrainingOverForward * head(per_row);
  executed_linear_ = linear_ - kTrainingOverForward * per_row.embedding - head_per_position_;
  n_ = static_cast<double>(count_parameters(model).kaplan_non_embedding);
}

double FlopCounter::training(double tokens, double squared_tokens) const {
  return linear_ * tokens + quadratic_ * squared_tokens;
}

double FlopCounter::executed(double tokens, double squared_tokens, double masked_positions) const {
  return executed_linear_ * tokens + quadratic_ * squared_tokens + head_per_position_ * masked_positions;
}

double FlopCounter::six_n_d(double tokens) const {
  return 6 * n_ * tokens;
}

double update_flops(const config::RunConfig& config) {
  double flops = 0;
  if (config::has_matrix_updates(config.optimizer.name))
    for (const config::HiddenMatrix& matrix : config::hidden_matrices(config::parameter_table(config.model)))
      flops += config::orthogonalisation_flops(matrix);
  return flops;
}

}  // namespace esmscale::accounting
