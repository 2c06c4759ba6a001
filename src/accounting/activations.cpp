#include "accounting/activations.h"

#include "esmscale/accounting/memory.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

namespace esmscale::accounting {
namespace {

bool is_plain(const config::RunConfig& config, config::DeviceKind device) {
  return !config::is_fused(config.train.engine, config.model, config.train.precision, device);
}

// fp32 on a GPU has LibTorch's memory-efficient attention, whichever the engine.
bool has_efficient_attention(const config::RunConfig& config, config::DeviceKind device) {
  return device == config::DeviceKind::gpu && !is_bf16(config);
}

// That attention pads every sequence to the longest. This is the factor on the rows, for the mean length of
// Swiss-Prot at 50% identity.
double padding(const config::RunConfig& config) {
  constexpr double mean_length = 367;
  return std::max(1.0, static_cast<double>(config.data.max_seq_len) / mean_length);
}

// Rows of a micro-batch on one rank, which may have fewer packs of a batch than a micro-batch holds.
double rows_of_micro_batch(const config::RunConfig& config, int ranks) {
  const int64_t pack = config.train.pack_tokens, packs = config.train.batch_tokens / pack;
  return static_cast<double>(std::min(config.train.micro_batch_tokens, (packs + ranks - 1) / ranks * pack));
}

// A tensor that forward leaves for backward.
struct Activation {
  const char *name, *shape;  // "FFN hidden before GELU", "[T, F]"
  double elements;           // of one copy
  int64_t element_bytes;
  int64_t copies;  // blocks that hold one at the same time

  double bytes() const { return elements * static_cast<double>(element_bytes) * static_cast<double>(copies); }
};
using Tensors = std::vector<Activation>;

Activation log_sum_exp(const Shapes& s) {
  return {"attention's log-sum-exp", s.efficient_attention ? "[P, H]" : "[T, H]", s.P * s.H, kFloat, 1};
}

// What ATen's operations save for autograd in one block, the block's input first. A GPU's attention takes
// packed sequences, so what it returns is joined already.
Tensors plain_block(const Shapes& s, config::DeviceKind device) {
  const double rows = s.T * s.D, by_sequence = device == config::DeviceKind::cpu ? rows : 0;
  return {
      {"block input (attention LayerNorm's input)", "[T, D]", rows, s.compute, 1},
      {"attention LayerNorm's mean and rstd", "[T, 2]", 2 * s.T, kFloat, 1},
      {"attention LayerNorm's output (input of QKV)", "[T, D]", rows, s.compute, 1},
      // Only v is saved, but it is a view that keeps all of QKV's output alive.
      {"QKV", "[T, 3D]", 3 * rows, s.compute, 1},
      {"q and k after rotary", "[T, 2D]", 2 * rows, s.compute, 1},
      {"attention's output, by sequence", "[T, D]", by_sequence, s.compute, 1},
      log_sum_exp(s),
      {"attention's output, joined (input of the output projection)", "[T, D]", rows, s.compute, 1},
      {"residual after attention (FFN LayerNorm's input)", "[T, D]", rows, s.compute, 1},
      {"FFN LayerNorm's mean and rstd", "[T, 2]", 2 * s.T, kFloat, 1},
      {"FFN LayerNorm's output (input of the first linear)", "[T, D]", rows, s.compute, 1},
      {"FFN hidden before GELU", "[T, F]", s.T * s.F, s.compute, 1},
      {"FFN hidden after GELU", "[T, F]", s.T * s.F, s.compute, 1},
  };
}

// LayerNorm and GELU outputs of one block, if they are saved; `rows` for all except the first norm.
Tensors outputs(const Shapes& s, double rows) {
  return {
      {"attention LayerNorm's output", "[T, D]", s.T * s.D, s.compute, 1},
      {"FFN LayerNorm's output", rows == s.T ? "[T, D]" : "[M, D]", rows * s.D, s.compute, 1},
      {"GELU's output", rows == s.T ? "[T, F]" : "[M, F]", rows * s.F, s.compute, 1},
  };
}

// What the written-out backward needs of one block to make the rest of it.
Tensors fused_block(const Shapes& s) {
  const double rows = s.T * s.D;
  return {
      {"block input (attention LayerNorm's input)", "[T, D]", rows, s.compute, 1},
      {"attention LayerNorm's mean and rstd", "[T, 2]", 2 * s.T, kFloat, 1},
      {"QKV before bias and rotary", "[T, 3D]", 3 * rows, s.compute, 1},
      {"attention's output", "[T, D]", rows, s.compute, 1},
      log_sum_exp(s),
      {"residual after attention (FFN LayerNorm's input)", "[T, D]", rows, s.compute, 1},
      {"FFN LayerNorm's mean and rstd", "[T, 2]", 2 * s.T, kFloat, 1},
      {"FFN hidden before GELU", "[T, F]", s.T * s.F, s.compute, 1},
  };
}

// The same of a last block that has masked rows only.
Tensors masked_block(const Shapes& s) {
  return {
      {"last block's input", "[T, D]", s.T * s.D, s.compute, 1},
      {"its LayerNorm's mean and rstd", "[T, 2]", 2 * s.T, kFloat, 1},
      {"its keys and values before bias and rotary", "[T, 2D]", 2 * s.T * s.D, s.compute, 1},
      {"its queries, attention's output and residual", "[M, 3D]", 3 * s.M * s.D, s.compute, 1},
      {"its log-sum-exp, mean and rstd", "[M, H + 2]", s.M * (s.H + 2), kFloat, 1},
      {"its FFN hidden before GELU", "[M, F]", s.M * s.F, s.compute, 1},
  };
}

void append(Tensors& tensors, Tensors more) {
  std::move(more.begin(), more.end(), std::back_inserter(tensors));
}

bool keeps_outputs(const config::RunConfig& config) {
  return config.train.recompute == config::Recompute::none;
}

// What a block and a last one of masked rows keep in all.
Tensors kept_block(const config::RunConfig& config, const Shapes& s) {
  Tensors tensors = fused_block(s);
  if (keeps_outputs(config)) append(tensors, outputs(s, s.T));
  return tensors;
}
Tensors kept_masked_block(const config::RunConfig& config, const Shapes& s) {
  Tensors tensors = masked_block(s);
  if (keeps_outputs(config)) append(tensors, outputs(s, s.M));
  return tensors;
}

double bytes_of(const Tensors& tensors) {
  double sum = 0;
  for (const Activation& tensor : tensors) sum += tensor.bytes();
  return sum;
}

// Once a micro-batch, whatever the engine: the tables before the blocks, and the head on masked positions
// after them. `final_rows`: of the final LayerNorm.
Tensors outside_blocks(const Shapes& s, double final_rows) {
  return {
      {"rotary cos and sin", "[T, 2K]", 2 * s.T * s.K, kFloat, 1},
      {"final LayerNorm's input", final_rows == s.T ? "[T, D]" : "[M, D]", final_rows * s.D, s.compute, 1},
      {"final LayerNorm's mean and rstd", final_rows == s.T ? "[T, 2]" : "[M, 2]", 2 * final_rows, kFloat, 1},
      {"head dense's input", "[M, D]", s.M * s.D, s.compute, 1},
      {"head dense's output, before GELU", "[M, D]", s.M * s.D, s.compute, 1},
      {"head LayerNorm's input", "[M, D]", s.M * s.D, s.compute, 1},
      {"head LayerNorm's output", "[M, D]", s.M * s.D, s.compute, 1},
      {"log-probabilities", "[M, V]", s.M * s.V, kFloat, 1},
  };
}

// The fused engine on a CPU: activations stay fp32, and each product rounds its factors.
bool rounds_factors(const config::RunConfig& config, config::DeviceKind device) {
  return is_bf16(config) && device == config::DeviceKind::cpu && !is_plain(config, device);
}

// What forward leaves for backward, of one micro-batch.
Tensors activations(const config::RunConfig& config, config::DeviceKind device, const Shapes& shapes) {
  const bool recompute = config.train.recompute == config::Recompute::blocks;
  Tensors tensors = is_plain(config, device) ? plain_block(shapes, device) : kept_block(config, shapes);
  // With recomputation every block keeps its input, and only the current block has the rest.
  const bool masked_end = prunes_last_block(config, device) && !recompute;
  const int64_t whole = config.model.layers - (masked_end ? 1 : 0);
  for (Activation& tensor : tensors) tensor.copies = recompute && &tensor != &tensors.front() ? 1 : whole;
  if (whole == 0) tensors.clear();
  if (masked_end) append(tensors, kept_masked_block(config, shapes));
  append(tensors, outside_blocks(shapes, prunes_last_block(config, device) ? shapes.M : shapes.T));
  return tensors;
}

// LibTorch's memory-efficient backward adds up the gradient of the queries in tiles of 64 x 64, next to it: a
// head has room for a multiple of 64 numbers a row.
double attention_sums(const Shapes& s) {
  return s.P * s.H * 64 * std::ceil(s.K / 64) * kFloat;
}

// Autograd holds the gradients of the second linear's output and input, and a weight's before it is added to
// the flat buffer; or, in attention, those of the residual, of its output and of q, k and v, when what the
// FFN had saved is free.
double plain_workspace(const Shapes& s) {
  const double ffn = s.T * (s.D + s.F) * static_cast<double>(s.compute) + s.D * s.F * kFloat;
  if (!s.efficient_attention) return ffn;
  return std::max(ffn, attention_sums(s) + s.T * (5 * s.D - 2 * (s.D + s.F)) * kFloat);
}

}  // namespace

bool is_bf16(const config::RunConfig& config) {
  return config::has_short_activations(config.train.precision);
}

Shapes::Shapes(const config::RunConfig& config, int ranks, config::DeviceKind device)
    : T(rows_of_micro_batch(config, ranks)),
      P(has_efficient_attention(config, device) ? T * padding(config) : T),
      M(std::ceil(std::max(config.masking.mlm_probability, config.masking.final_mlm_probability) * T)),
      D(static_cast<double>(config.model.width)),
      F(static_cast<double>(config.model.ffn_dim())),
      H(static_cast<double>(config.model.heads)),
      K(static_cast<double>(config.model.head_dim())),
      V(static_cast<double>(config.model.alphabet)),
      compute(is_bf16(config) && !rounds_factors(config, device) ? 2 : kFloat),
      efficient_attention(has_efficient_attention(config, device)) {}

double activation_bytes(const config::RunConfig& config, config::DeviceKind device, const Shapes& shapes) {
  return bytes_of(activations(config, device, shapes));
}

// Backward takes most in the last block, when the saved tensors of all blocks are still there. Its FFN holds
// the gradients of the residual and of the FFN's activation, the activation if it is computed again, and a
// LayerNorm's output or gradient; products that round their factors hold these and their result in bf16.
// LibTorch's attention holds the gradients of the residual, of its output
// and, twice, of q, k and v. A last block of masked rows takes most when it holds the gradients of keys and
// values, the LayerNorm's output that they come from, and its gradient. If the block before it takes more,
// that one counts.
double workspace_bytes(const config::RunConfig& config, config::DeviceKind device, const Shapes& s) {
  if (is_plain(config, device)) return plain_workspace(s);
  const auto compute = static_cast<double>(s.compute);
  const double operand = config.train.precision == config::Precision::fp8 ? s.T * s.F
                         : rounds_factors(config, device)                 ? s.T * (s.D + s.F) * 2
                                                                          : 0;
  const double ffn = s.T * (2 * s.D + (keeps_outputs(config) ? 1 : 2) * s.F) * compute + operand;
  if (s.efficient_attention) return std::max(ffn, s.T * 8 * s.D * compute + attention_sums(s));
  if (!prunes_last_block(config, device) || config.train.recompute == config::Recompute::blocks) return ffn;
  const double last_attention = s.T * 4 * s.D * compute;
  return config.model.layers == 1 ? last_attention
                                  : std::max(last_attention, ffn - bytes_of(kept_masked_block(config, s)));
}

bool prunes_last_block(const config::RunConfig& config, config::DeviceKind device) {
  if (is_plain(config, device)) return false;
  const int64_t head_dim = config.model.head_dim();
  const bool short_heads = head_dim == 16 || head_dim == 24 || head_dim == 32 || head_dim == 64;
  return device == config::DeviceKind::cpu || (is_bf16(config) && short_heads);
}

}  // namespace esmscale::accounting
