// The one table of an ESM-2's parameters. Counts, memory, the flat buffers, the optimiser, checkpoints and
// exports all derive from it. Order: embedding, blocks, final norm, head.
#pragma once

#include "esmscale/config/config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace esmscale::config {

enum class ParameterKind { embedding, matrix, bias, norm_weight, norm_bias };

// The row of the accounting table (docs/science.md, section 5) that a matrix belongs to.
enum class ParameterPart { embedding, attention, ffn, head_dense, head_decoder };

struct Parameter {
  std::string name;            // "blocks.3.qkv.weight"
  std::vector<int64_t> shape;  // a matrix is [out, in]
  ParameterKind kind;
  ParameterPart part;
  int64_t offset;  // index of its first element in a flat buffer

  int64_t size() const;
  bool decays() const { return kind == ParameterKind::matrix; }  // weight decay: matrices only
};

// Rows of the embedding are the alphabet's tokens (29 or 33). The decoder is tied; only its bias is a row
// here.
//   embedding.weight [V, D]
//   blocks.i.{attention_norm, ffn_norm}.{weight, bias} [D]
//   blocks.i.qkv.{weight [3D, D], bias}     query, key, value rows in that order
//   blocks.i.out.{weight [D, D], bias}
//   blocks.i.ffn_in.{weight [F, D], bias}, blocks.i.ffn_out.{weight [D, F], bias}
//   final_norm.{weight, bias}, head.dense.{weight [D, D], bias}, head.norm.{weight, bias}, head.bias [V]
std::vector<Parameter> parameter_table(const ModelConfig& model);

// Rows of the table by the layer that they belong to, so that nobody counts them by hand.
struct LayerRows {
  size_t weight = 0, bias = 0;
};
struct BlockRows {
  LayerRows attention_norm, qkv, out, ffn_norm, ffn_in, ffn_out;
};
struct ParameterIndex {
  size_t embedding = 0;
  std::vector<BlockRows> blocks;
  LayerRows final_norm, head_dense, head_norm;
  size_t head_bias = 0;
};
ParameterIndex parameter_index(const ModelConfig& model);

int64_t total_size(const std::vector<Parameter>& table);
int64_t size_of_vectors(const std::vector<Parameter>& table);  // of all parameters except matrices

}  // namespace esmscale::config
