#include "train/layer_norms.h"

#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/model/device_batch.h"
#include "esmscale/model/observe.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

// The place of the largest number; a NaN is larger than all.
size_t largest(const std::vector<double>& values) {
  return static_cast<size_t>(
      std::max_element(values.begin(), values.end(),
                       [](double a, double b) { return !std::isnan(a) && !(a >= b); }) -
      values.begin());
}

std::vector<double> on_host(const std::vector<at::Tensor>& scalars) {
  const at::Tensor all = at::stack(scalars).to(at::kCPU, at::kDouble);
  return {all.const_data_ptr<double>(), all.const_data_ptr<double>() + all.numel()};
}

}  // namespace

LayerNorms::LayerNorms(const model::Weights& weights, int64_t every) : weights_(weights), every_(every) {
  const std::vector<config::Parameter>& table = weights.table;
  const config::ParameterIndex& rows = weights.rows;
  const auto add = [&](std::string key, std::string name, int64_t end) {
    const int64_t begin = layers_.empty() ? 0 : layers_.back().begin + layers_.back().size;
    layers_.push_back({.key = std::move(key), .name = std::move(name), .begin = begin, .size = end - begin});
  };
  // The table has the layers one after the other.
  const size_t blocks = rows.blocks.size();
  add("embedding", "the embedding", table[rows.embedding].offset + table[rows.embedding].size());
  for (size_t i = 0; i < blocks; ++i) {
    const size_t next = i + 1 < blocks ? rows.blocks[i + 1].attention_norm.weight : rows.final_norm.weight;
    add(text("layer_", i), text("block ", i), table[next].offset);
  }
  add("head", "the head", config::total_size(table));
}

std::vector<double> LayerNorms::norms(const at::Tensor& flat) const {
  std::vector<at::Tensor> norms;
  for (const Layer& layer : layers_) norms.push_back(flat.narrow(0, layer.begin, layer.size).norm());
  return on_host(norms);
}

std::vector<double> LayerNorms::largest_logits(const data::GlobalBatch& batch) const {
  if (batch.micro_batches.empty() || batch.micro_batches.front().real_tokens == 0) return {};
  const model::DeviceBatch on_device =
      model::to_device(batch.micro_batches.front(), weights_.config,
                       data::TokenList::of(weights_.config.alphabet), weights_.flat.device());
  std::vector<at::Tensor> largest;
  model::Observer observer;
  observer.heads = [&](int64_t, const at::Tensor& q_THK, const at::Tensor& k_THK) {
    std::vector<at::Tensor> of_sequences;
    int64_t begin = 0;
    for (const int64_t rows : on_device.lengths) {
      const at::Tensor q_HTK = q_THK.narrow(0, begin, rows).transpose(0, 1);
      const at::Tensor k_HKT = k_THK.narrow(0, begin, rows).permute({1, 2, 0});
      of_sequences.push_back(at::matmul(q_HTK, k_HKT).abs().max());
      begin += rows;
    }
    largest.push_back(at::stack(of_sequences).max());
  };
  model::observe(weights_, on_device, at::kFloat, observer);
  return on_host(largest);
}

void LayerNorms::begin() {
  before_ = weights_.flat.clone();
}

Json LayerNorms::finish(int64_t step, const data::GlobalBatch& batch) {
  const std::vector<double> weights = norms(weights_.flat), moved = norms(weights_.flat - before_),
                            norms_before = norms(before_), logits = largest_logits(batch);
  before_.reset();
  Json line = Json::object();
  std::vector<double> ratios;
  for (size_t i = 0; i < layers_.size(); ++i) {
    ratios.push_back(norms_before[i] > 0 ? moved[i] / norms_before[i] : 0);
    line[layers_[i].key + "/weight_norm"] = number_or_null(weights[i]);
    line[layers_[i].key + "/update_ratio"] = number_or_null(ratios[i]);
    if (i > 0 && i <= logits.size()) line[layers_[i].key + "/largest_logit"] = number_or_null(logits[i - 1]);
  }
  const size_t most = largest(ratios);
  line["layers/largest_update_ratio"] = number_or_null(ratios[most]);
  worst_ = text("at step ", step, " ", layers_[most].name);
  if (!std::isfinite(ratios[most])) {
    worst_ += " has weights that are not finite";
    return line;
  }
  worst_ += text(" moved most, by ", fixed(ratios[most], 4), " of its weights' norm");
  if (!logits.empty()) {
    const size_t hottest = largest(logits);
    line["layers/largest_logit"] = number_or_null(logits[hottest]);
    worst_ += text("; ", layers_[hottest + 1].name, " has the largest attention logit, ",
                   fixed(logits[hottest], 1));
  }
  return line;
}

}  // namespace esmscale::train
