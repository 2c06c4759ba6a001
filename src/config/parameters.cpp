#include "esmscale/config/parameters.h"

#include <functional>
#include <numeric>

namespace esmscale::config {

int64_t Parameter::size() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

namespace {

// The table and its index, made in one walk so that they cannot differ.
class TableBuilder {
 public:
  explicit TableBuilder(const ModelConfig& m) : width_(m.width) {
    using Part = ParameterPart;
    const int64_t d = m.width, f = m.ffn_dim();
    index.embedding = add("embedding.weight", {m.alphabet, d}, ParameterKind::embedding, Part::embedding);
    for (int64_t i = 0; i < m.layers; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".";
      index.blocks.push_back({.attention_norm = add_norm(block + "attention_norm", Part::attention),
                              .qkv = add_linear(block + "qkv", 3 * d, d, Part::attention),
                              .out = add_linear(block + "out", d, d, Part::attention),
                              .ffn_norm = add_norm(block + "ffn_norm", Part::ffn),
                              .ffn_in = add_linear(block + "ffn_in", f, d, Part::ffn),
                              .ffn_out = add_linear(block + "ffn_out", d, f, Part::ffn)});
    }
    index.final_norm = add_norm("final_norm", Part::ffn);
    index.head_dense = add_linear("head.dense", d, d, Part::head_dense);
    index.head_norm = add_norm("head.norm", Part::head_dense);
    index.head_bias = add("head.bias", {m.alphabet}, ParameterKind::bias, Part::head_decoder);
  }

  std::vector<Parameter> table;
  ParameterIndex index;

 private:
  size_t add(std::string name, std::vector<int64_t> shape, ParameterKind kind, ParameterPart part) {
    table.push_back({std::move(name), std::move(shape), kind, part, total_size(table)});
    return table.size() - 1;
  }
  LayerRows add_linear(const std::string& name, int64_t out, int64_t in, ParameterPart part) {
    const size_t weight = add(name + ".weight", {out, in}, ParameterKind::matrix, part);
    return {weight, add(name + ".bias", {out}, ParameterKind::bias, part)};
  }
  LayerRows add_norm(const std::string& name, ParameterPart part) {
    const size_t weight = add(name + ".weight", {width_}, ParameterKind::norm_weight, part);
    return {weight, add(name + ".bias", {width_}, ParameterKind::norm_bias, part)};
  }

  int64_t width_;
};

}  // namespace

std::vector<Parameter> parameter_table(const ModelConfig& model) {
  return TableBuilder(model).table;
}

ParameterIndex parameter_index(const ModelConfig& model) {
  return TableBuilder(model).index;
}

int64_t total_size(const std::vector<Parameter>& table) {
  return table.empty() ? 0 : table.back().offset + table.back().size();
}

int64_t size_of_vectors(const std::vector<Parameter>& table) {
  int64_t size = 0;
  for (const Parameter& parameter : table)
    if (parameter.kind != ParameterKind::matrix) size += parameter.size();
  return size;
}

}  // namespace esmscale::config
