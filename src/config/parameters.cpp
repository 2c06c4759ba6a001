#include "esmscale/config/parameters.h"

#include <functional>
#include <numeric>

namespace esmscale::config {

int64_t Parameter::size() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::vector<Parameter> parameter_table(const ModelConfig& m) {
  using enum ParameterKind;
  using Part = ParameterPart;
  std::vector<Parameter> table;
  int64_t offset = 0;
  const auto add = [&](std::string name, std::vector<int64_t> shape, ParameterKind kind, Part part) {
    table.push_back({std::move(name), std::move(shape), kind, part, offset});
    offset += table.back().size();
  };
  const auto add_linear = [&](const std::string& name, int64_t out, int64_t in, Part part) {
    add(name + ".weight", {out, in}, matrix, part);
    add(name + ".bias", {out}, bias, part);
  };
  const auto add_norm = [&](const std::string& name, Part part) {
    add(name + ".weight", {m.width}, norm_weight, part);
    add(name + ".bias", {m.width}, norm_bias, part);
  };

  const int64_t d = m.width, f = m.ffn_dim();
  add("embedding.weight", {m.alphabet, d}, embedding, Part::embedding);
  for (int64_t i = 0; i < m.layers; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    add_norm(block + "attention_norm", Part::attention);
    add_linear(block + "qkv", 3 * d, d, Part::attention);
    add_linear(block + "out", d, d, Part::attention);
    add_norm(block + "ffn_norm", Part::ffn);
    add_linear(block + "ffn_in", f, d, Part::ffn);
    add_linear(block + "ffn_out", d, f, Part::ffn);
  }
  add_norm("final_norm", Part::ffn);
  add_linear("head.dense", d, d, Part::head_dense);
  add_norm("head.norm", Part::head_dense);
  add("head.bias", {m.alphabet}, bias, Part::head_decoder);
  return table;
}

int64_t total_size(const std::vector<Parameter>& table) {
  return table.empty() ? 0 : table.back().offset + table.back().size();
}

}  // namespace esmscale::config
