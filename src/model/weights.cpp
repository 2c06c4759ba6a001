#include "esmscale/model/weights.h"

#include "esmscale/core/random.h"
#include "esmscale/data/alphabet.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace esmscale::model {
namespace {

at::Tensor rotary_frequencies(int64_t head_dim) {
  const at::Tensor inv_freq = at::empty({head_dim / 2}, at::kFloat);
  for (int64_t i = 0; i < head_dim / 2; ++i)
    inv_freq.data_ptr<float>()[i] =
        1.0f / std::pow(10000.0f, static_cast<float>(2 * i) / static_cast<float>(head_dim));
  return inv_freq;
}

using Draw = double (*)(RandomStream& random, double scale);
double uniform(RandomStream& random, double bound) {
  return (2 * random.uniform() - 1) * bound;
}
double normal(RandomStream& random, double deviation) {
  return random.normal() * deviation;
}

// A stream per piece of 2^16 values, so threads may share a parameter out without changing a value.
void fill(const at::Tensor& values, uint64_t seed, size_t p, Draw draw, double scale) {
  constexpr int64_t piece = 1 << 16;
  float* data = values.data_ptr<float>();
  const int64_t size = values.numel();
  at::parallel_for(0, (size + piece - 1) / piece, 1, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      RandomStream random(seed, Purpose::initialisation, p, static_cast<uint32_t>(c));
      for (int64_t i = c * piece; i < std::min(size, (c + 1) * piece); ++i)
        data[i] = static_cast<float>(draw(random, scale));
    }
  });
}

// Xavier's bound gain · √(6 / (fan_in + fan_out)); query, key and value count as three matrices with gain
// 1/√2.
double xavier_bound(const config::Parameter& parameter) {
  const bool is_qkv = parameter.name.ends_with("qkv.weight");
  const double out = static_cast<double>(parameter.shape[0]) / (is_qkv ? 3 : 1);
  const double in = static_cast<double>(parameter.shape[1]);
  return (is_qkv ? std::sqrt(0.5) : 1.0) * std::sqrt(6 / (in + out));
}

void fill_parameter(const Weights& weights, const at::Tensor& values, uint64_t seed, size_t p) {
  const config::Parameter& parameter = weights.table[p];
  const bool hf = weights.config.init.scheme == config::InitScheme::hf;
  switch (parameter.kind) {
    case config::ParameterKind::embedding:
      fill(values, seed, p, normal, hf ? 0.02 : 1 / std::sqrt(static_cast<double>(weights.config.width)));
      if (hf) values[data::TokenList::of(weights.config.alphabet).pad()].zero_();
      break;
    case config::ParameterKind::matrix:
      if (hf)
        fill(values, seed, p, normal, 0.02);
      else
        fill(values, seed, p, uniform, xavier_bound(parameter));
      break;
    case config::ParameterKind::norm_weight:
      values.fill_(1);
      break;
    case config::ParameterKind::norm_bias:
    case config::ParameterKind::bias:
      values.zero_();
      break;
  }
}

// Log frequencies with one count added to every token, so that tokens never seen stay finite [ours].
at::Tensor log_frequencies(const data::TokenList& tokens, std::span<const int64_t> letter_counts) {
  const at::Tensor bias = at::zeros({tokens.size()}, at::kFloat);
  double total = static_cast<double>(tokens.size());
  for (int code = 0; code < data::kStandardLetters; ++code) total += static_cast<double>(letter_counts[code]);
  bias.fill_(-std::log(total));
  for (int code = 0; code < data::kStandardLetters; ++code)
    bias.data_ptr<float>()[tokens.letter(static_cast<uint8_t>(code))] =
        static_cast<float>(std::log((static_cast<double>(letter_counts[code]) + 1) / total));
  return bias;
}

// Without tensors except inv_freq.
Weights names_of(const config::ModelConfig& model, const at::Device& device) {
  Weights names;
  names.config = model;
  names.table = config::parameter_table(model);
  names.rows = config::parameter_index(model);
  names.inv_freq = rotary_frequencies(model.head_dim()).to(device);
  return names;
}

at::Tensor empty_flat(const Weights& names, at::ScalarType type, const at::Device& device) {
  return at::empty({config::total_size(names.table)}, at::TensorOptions().dtype(type).device(device));
}

}  // namespace

std::vector<at::Tensor> views_of(const Weights& names, const at::Tensor& flat) {
  std::vector<at::Tensor> views;
  for (const config::Parameter& parameter : names.table)
    views.push_back(flat.narrow(0, parameter.offset, parameter.size()).view(parameter.shape));
  return views;
}

Weights with_tensors(const Weights& like, std::vector<at::Tensor> all) {
  const auto norm = [&](const config::LayerRows& rows) {
    return Norm{all[rows.weight], all[rows.bias], like.config.layer_norm_eps};
  };
  const auto linear = [&](const config::LayerRows& rows) { return Linear{all[rows.weight], all[rows.bias]}; };
  const config::ParameterIndex& rows = like.rows;
  Weights named{.config = like.config,
                .table = like.table,
                .rows = rows,
                .flat = {},
                .masters = {},
                .vectors = {},
                .all = {},
                .inv_freq = like.inv_freq,
                .embedding_VD = all[rows.embedding],
                .blocks = {},
                .final_norm = norm(rows.final_norm),
                .head_dense = linear(rows.head_dense),
                .head_norm = norm(rows.head_norm),
                .head_bias_V = all[rows.head_bias]};
  for (const config::BlockRows& block : rows.blocks)
    named.blocks.push_back({.attention_norm = norm(block.attention_norm),
                            .qkv = linear(block.qkv),
                            .out = linear(block.out),
                            .ffn_norm = norm(block.ffn_norm),
                            .ffn_in = linear(block.ffn_in),
                            .ffn_out = linear(block.ffn_out)});
  named.all = std::move(all);
  return named;
}

Weights make_weights(const config::ModelConfig& model, const at::Device& device) {
  const Weights names = names_of(model, device);
  const at::Tensor flat = empty_flat(names, at::kFloat, device);
  Weights weights = with_tensors(names, views_of(names, flat));
  weights.flat = flat;
  weights.masters = Masters(flat);
  return weights;
}

Weights make_sharded_weights(const config::ModelConfig& model, const at::Device& device,
                             std::vector<config::FlatRange> ranges) {
  const Weights names = names_of(model, device);
  const at::Tensor flat = empty_flat(names, at::kBFloat16, device);
  std::vector<at::Tensor> all = views_of(names, flat);
  const at::Tensor vectors =
      at::empty({config::size_of_vectors(names.table)}, flat.options().dtype(at::kFloat));
  int64_t begin = 0;
  for (size_t p = 0; p < all.size(); ++p) {
    const config::Parameter& parameter = names.table[p];
    if (parameter.kind == config::ParameterKind::matrix) continue;
    all[p] = vectors.narrow(0, begin, parameter.size()).view(parameter.shape);
    begin += parameter.size();
  }
  Weights weights = with_tensors(names, std::move(all));
  weights.flat = flat;
  weights.masters = Masters(std::move(ranges), device);
  weights.vectors = vectors;
  return weights;
}

std::vector<at::Tensor> Weights::replicated() const {
  if (!has_sharded_masters()) return {flat};
  return {flat, vectors};
}

void set_parameter(const Weights& weights, size_t row, const at::Tensor& values) {
  weights.all[row].copy_(values);
  if (!weights.has_sharded_masters()) return;
  const config::FlatRange whole{weights.table[row].offset, weights.table[row].size()};
  weights.flat.narrow(0, whole.begin, whole.size).copy_(values.flatten());
  for (const config::FlatRange& range : weights.masters.ranges())
    if (const config::FlatRange shared = config::intersection(whole, range); shared.size > 0)
      weights.masters.of(shared).copy_(values.flatten().narrow(0, shared.begin - whole.begin, shared.size));
}

void assign(const Weights& weights, const Weights& from) {
  for (size_t p = 0; p < weights.table.size(); ++p) set_parameter(weights, p, from.all[p]);
  weights.inv_freq.copy_(from.inv_freq);
}

Weights copy_of(const Weights& weights, const at::Device& device) {
  Weights copy = make_weights(weights.config, device);
  assign(copy, weights);
  return copy;
}

void initialise(Weights& weights, uint64_t seed, std::span<const int64_t> letter_counts) {
  for (size_t p = 0; p < weights.table.size(); ++p) {
    const at::Tensor values = at::empty(weights.table[p].shape, at::kFloat);
    fill_parameter(weights, values, seed, p);
    set_parameter(weights, p, values);
  }
  if (weights.config.init.decoder_bias == config::DecoderBias::frequencies)
    set_parameter(weights, weights.rows.head_bias,
                  log_frequencies(data::TokenList::of(weights.config.alphabet), letter_counts));
}

}  // namespace esmscale::model
