#include "model/forward.h"

#include "esmscale/model/observe.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

namespace esmscale::model {
namespace {

// Weights are fp32; a product takes them in the type of its input.
at::Tensor linear(const at::Tensor& x, const Linear& layer) {
  return at::linear(x, layer.weight.to(x.scalar_type()), layer.bias.to(x.scalar_type()));
}

at::Tensor layer_norm(const at::Tensor& x, const Norm& norm) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight_D.to(x.scalar_type()), norm.bias_D.to(x.scalar_type()),
                        norm.epsilon);
}

// The map of one sequence; q carries the scale.
at::Tensor attention_map(const at::Tensor& q_THK, const at::Tensor& k_THK) {
  return at::softmax(at::matmul(q_THK.transpose(0, 1), k_THK.permute({1, 2, 0})), -1);
}

using TakeHeads = std::function<void(const at::Tensor& q_THK, const at::Tensor& k_THK)>;

at::Tensor self_attention(const Block& block, const at::Tensor& x_TD, const DeviceBatch& batch,
                          const Rotary& rotary, int64_t heads, const TakeHeads& take = {}) {
  const int64_t head_dim = x_TD.size(1) / heads;
  const auto qkv = linear(x_TD, block.qkv).view({x_TD.size(0), 3, heads, head_dim}).unbind(1);
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  const at::Tensor q_THK = rotate(qkv[0] * scale, rotary).to(x_TD.scalar_type());
  const at::Tensor k_THK = rotate(qkv[1], rotary).to(x_TD.scalar_type());
  if (take) take(q_THK, k_THK);
  return linear(attention(q_THK, k_THK, qkv[2], batch).reshape(x_TD.sizes()), block.out);
}

at::Tensor ffn(const Block& block, const at::Tensor& x_TD) {
  return linear(at::gelu(linear(x_TD, block.ffn_in)), block.ffn_out);
}

at::Tensor forward(const Weights& weights, const DeviceBatch& batch, at::ScalarType type,
                   const Observer& observer) {
  at::Tensor x_TD = at::embedding(weights.embedding_VD, batch.tokens_T) * batch.factor_T.unsqueeze(1);
  x_TD = x_TD.to(type);
  const Rotary rotary = rotary_of(batch.positions_T, weights.inv_freq);
  for (size_t i = 0; i < weights.blocks.size(); ++i) {
    const Block& block = weights.blocks[i];
    const auto number = static_cast<int64_t>(i);
    if (observer.state) observer.state(number, x_TD);
    TakeHeads take;
    if (observer.heads || observer.attention)
      take = [&](const at::Tensor& q_THK, const at::Tensor& k_THK) {
        if (observer.heads) observer.heads(number, q_THK, k_THK);
        if (observer.attention) observer.attention(number, attention_map(q_THK, k_THK));
      };
    x_TD = x_TD + self_attention(block, layer_norm(x_TD, block.attention_norm), batch, rotary,
                                 weights.config.heads, take);
    x_TD = x_TD + ffn(block, layer_norm(x_TD, block.ffn_norm));
  }
  x_TD = layer_norm(x_TD, weights.final_norm);
  if (observer.state) observer.state(static_cast<int64_t>(weights.blocks.size()), x_TD);
  return x_TD;
}

}  // namespace

at::Tensor forward_hidden(const Weights& weights, const DeviceBatch& batch, at::ScalarType type) {
  return forward(weights, batch, type, {});
}

void observe(const Weights& weights, const DeviceBatch& batch, at::ScalarType type,
             const Observer& observer) {
  const at::NoGradGuard off;
  forward(weights, batch, type, observer);
}

at::Tensor forward_head(const Weights& weights, const at::Tensor& hidden_RD) {
  const at::Tensor x_RD = layer_norm(at::gelu(linear(hidden_RD, weights.head_dense)), weights.head_norm);
  return linear(x_RD, Linear{weights.embedding_VD, weights.head_bias_V}).to(at::kFloat);
}

}  // namespace esmscale::model
