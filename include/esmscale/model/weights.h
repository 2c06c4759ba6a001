// An ESM-2's parameters as tensors: one flat buffer in the table's order, and named views of it. The buffer
// is fp32, or, on a rank that holds only its shard of the fp32 weights, bf16. Shape suffixes everywhere: T
// rows of a packed batch, D width, H heads, K head_dim, F FFN width, M masked positions, V tokens.
#pragma once

#include "esmscale/config/parameters.h"
#include "esmscale/model/masters.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::model {

struct Norm {
  at::Tensor weight_D, bias_D;
  double epsilon = 1e-5;  // model.layer_norm_eps
};

struct Linear {
  at::Tensor weight, bias;  // [out, in], [out]
};

struct Block {
  Norm attention_norm;
  Linear qkv;  // [3D, D]: query, key and value rows in that order
  Linear out;
  Norm ffn_norm;
  Linear ffn_in, ffn_out;
};

struct Weights {
  config::ModelConfig config;
  std::vector<config::Parameter> table;
  config::ParameterIndex rows;  // of the table, by layer
  at::Tensor flat;              // [P] fp32, or bf16 with sharded masters
  Masters masters;              // what an optimiser updates: in flat, or this rank's shard
  at::Tensor vectors;  // [S] fp32 with sharded masters: all parameters except matrices; else undefined
  std::vector<at::Tensor> all;  // by table index: views of flat; with sharded masters those of vectors first
  at::Tensor inv_freq;          // [K/2] fp32: rotary frequencies (a buffer, not a parameter)

  at::Tensor embedding_VD;
  std::vector<Block> blocks;
  Norm final_norm;
  Linear head_dense;
  Norm head_norm;
  at::Tensor head_bias_V;

  bool has_sharded_masters() const { return vectors.defined(); }
  // The tensors that are equal on all ranks: flat, and vectors where there are any.
  std::vector<at::Tensor> replicated() const;
};

// Uninitialised weights on a device ("cpu", "cuda:0"), inv_freq by the fp32 formula 10000^(−2i/K).
Weights make_weights(const config::ModelConfig& model, const at::Device& device);

// The same with sharded masters: these ranges of the flat weights. The fused engine reads matrices in bf16,
// and embedding, biases and norms in fp32.
Weights make_sharded_weights(const config::ModelConfig& model, const at::Device& device,
                             std::vector<config::FlatRange> ranges);

// Writes a parameter, fp32 of its shape, wherever these weights hold it.
void set_parameter(const Weights& weights, size_t row, const at::Tensor& values);
// All of them, and inv_freq; `from` has whole weights of the same model.
void assign(const Weights& weights, const Weights& from);

// The same values on a device, in buffers of their own; `weights` are whole.
Weights copy_of(const Weights& weights, const at::Device& device);

// Views of a flat buffer of any type, [P], by table row.
std::vector<at::Tensor> views_of(const Weights& names, const at::Tensor& flat);

// The same names over other tensors, one per table row (for autograd leaves, bf16 copies, gradients). flat,
// masters and vectors are empty in it, and inv_freq is the one of `like`.
Weights with_tensors(const Weights& like, std::vector<at::Tensor> all);

// Fills the weights (science.md, section 2: `xavier` [ours] or `hf`): a pure function of the seed, whatever
// the device and the number of threads. letter_counts: by letter code, at least the 20
// standard letters, for decoder_bias = frequencies; else it may be empty.
void initialise(Weights& weights, uint64_t seed, std::span<const int64_t> letter_counts);

}  // namespace esmscale::model
