#include "esmscale/downstream/contacts.h"

#include "downstream/passes.h"
#include "esmscale/model/observe.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tensordot.h>
#include <ATen/ops/zeros.h>

namespace esmscale::downstream {
namespace {

// x_ij − x_i· x_·j / x_··, for each map of [..., L, L].
at::Tensor without_average_product(const at::Tensor& x) {
  return x - x.sum(-1, true) * x.sum(-2, true) / x.sum(at::IntArrayRef{-2, -1}, true);
}

// One protein, with one of its residues exchanged.
data::PackedBatch batch_of(const std::vector<int32_t>& rows) {
  return {.tokens = rows,
          .cu_seqlens = {0, static_cast<int32_t>(rows.size())},
          .masked_rows = {},
          .targets = {},
          .mask_counts = {0},
          .sequences = {0},
          .real_tokens = static_cast<int64_t>(rows.size()),
          .real_sequences = 1};
}

// Logits of the 20 residues at every position, for each way to exchange one: [L, 20, L, 20] less those of the
// protein itself.
class Jacobian {
 public:
  Jacobian(model::Engine& engine, const config::ModelConfig& model, std::span<const uint8_t> residues,
           const JacobianOptions& options)
      : engine_(engine),
        model_(model),
        tokens_(data::TokenList::of(model.alphabet)),
        rows_(tokens_of(residues, tokens_)),
        length_(static_cast<int64_t>(residues.size())),
        options_(options) {}

  at::Tensor differences() {
    const at::Tensor own_L20 = logits({&rows_, 1})[0];
    at::Tensor all = at::empty({length_, kLetters, length_, kLetters}, at::kFloat);
    const auto copies = std::max<int64_t>(1, options_.batch_rows / (length_ + 2));
    std::vector<std::vector<int32_t>> exchanged;
    for (int64_t pass = 0; pass < length_ * kLetters; ++pass) {
      exchanged.push_back(rows_);
      exchanged.back()[static_cast<size_t>(pass / kLetters) + 1] =
          tokens_.letter(static_cast<uint8_t>(pass % kLetters));
      if (static_cast<int64_t>(exchanged.size()) < copies && pass + 1 < length_ * kLetters) continue;
      const at::Tensor logits_PL20 = logits(exchanged);
      const int64_t first = pass + 1 - logits_PL20.size(0);
      all.view({-1, length_, kLetters}).narrow(0, first, logits_PL20.size(0)).copy_(logits_PL20 - own_L20);
      exchanged.clear();
      if (options_.progress) options_.progress(static_cast<double>(pass + 1));
    }
    return all;
  }

 private:
  static constexpr int64_t kLetters = data::kStandardLetters;

  at::Tensor logits(std::span<const std::vector<int32_t>> proteins) {
    data::PackedBatch batch{.cu_seqlens = {0}};
    for (const std::vector<int32_t>& rows : proteins) {
      batch.tokens.insert(batch.tokens.end(), rows.begin(), rows.end());
      batch.cu_seqlens.push_back(static_cast<int32_t>(batch.tokens.size()));
      batch.mask_counts.push_back(0);
      batch.sequences.push_back(0);
    }
    const model::DeviceBatch on_device = model::to_device(batch, model_, tokens_, engine_.device());
    const at::Tensor logits_TV = engine_.logits(engine_.hidden(on_device)).cpu();
    return logits_TV.view({static_cast<int64_t>(proteins.size()), length_ + 2, -1})
        .narrow(1, 1, length_)
        .narrow(2, tokens_.letter(0), kLetters);
  }

  model::Engine& engine_;
  const config::ModelConfig& model_;
  const data::TokenList& tokens_;
  const std::vector<int32_t> rows_;
  const int64_t length_;
  const JacobianOptions& options_;
};

}  // namespace

at::Tensor contacts_by_head(const model::Weights& weights, std::span<const uint8_t> residues,
                            std::span<const float> weight, float bias) {
  const data::TokenList& tokens = data::TokenList::of(weights.config.alphabet);
  const auto length = static_cast<int64_t>(residues.size());
  const int64_t heads = weights.config.heads;
  at::Tensor sum_LL = at::zeros({length, length}, weights.flat.options());
  const at::Tensor weight_C =
      at::from_blob(const_cast<float*>(weight.data()), {static_cast<int64_t>(weight.size())}, at::kFloat)
          .to(weights.flat.device());
  const model::DeviceBatch batch =
      model::to_device(batch_of(tokens_of(residues, tokens)), weights.config, tokens, weights.flat.device());
  const auto take = [&](int64_t block, const at::Tensor& p_HTT) {
    const at::Tensor inner_HLL = p_HTT.narrow(1, 1, length).narrow(2, 1, length);
    const at::Tensor map_HLL = without_average_product(inner_HLL + inner_HLL.transpose(1, 2));
    sum_LL += at::tensordot(weight_C.narrow(0, block * heads, heads), map_HLL, {0}, {0});
  };
  model::observe(weights, batch, at::kFloat, {.attention = take});
  return at::sigmoid(sum_LL + bias).cpu();
}

at::Tensor contacts_by_jacobian(model::Engine& engine, const config::ModelConfig& model,
                                std::span<const uint8_t> residues, const JacobianOptions& options) {
  at::Tensor jacobian = Jacobian(engine, model, residues, options).differences();
  for (int64_t axis = 0; axis < 4; ++axis) jacobian -= jacobian.mean(axis, true);
  at::Tensor norm_LL = jacobian.square_().sum(at::IntArrayRef{1, 3}).sqrt_();
  norm_LL.fill_diagonal_(0);
  at::Tensor map_LL = without_average_product(norm_LL);
  map_LL.fill_diagonal_(0);
  return (map_LL + map_LL.transpose(0, 1)) / 2;
}

}  // namespace esmscale::downstream
