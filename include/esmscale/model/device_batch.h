// A packed micro-batch as tensors on a device.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/loader/batch.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::model {

struct DeviceBatch {
  at::Tensor tokens_T;       // int64
  at::Tensor factor_T;       // fp32: what each embedding is multiplied by (token dropout; 0 for <pad>)
  at::Tensor positions_T;    // int64, restarting in each sequence
  at::Tensor cu_seqlens;     // int32 [N + 1]; N sequences that have rows
  at::Tensor masked_rows_M;  // int64
  at::Tensor targets_M;      // int64, −1 for inert room
  at::Tensor masked_starts;  // int32 [N + 1]: first masked row of each sequence; the last also has inert ones
  // Attention's blocks of rows on a GPU (AttentionBlock of kernels/gpu/gpu.h), int32 [blocks, 2]: with
  // queries at all rows, and with queries at masked rows only.
  struct BlockLists {
    at::Tensor queries, keys;
  } blocks, masked_blocks;
  std::vector<int64_t> lengths;  // [N] rows of each sequence, on the host
  int64_t max_length = 0;        // of `lengths`
  int64_t masked = 0;            // real masked positions

  int64_t rows() const { return tokens_T.size(0); }
};

// Copies from pinned memory without waiting on CUDA. With token dropout of rate p (model.token_dropout_rate)
// factor = (1 − 0.8 p) / (1 − n_mask / n) for every token of a sequence except <mask>, which gets 0.
DeviceBatch to_device(const data::PackedBatch& batch, const config::ModelConfig& model,
                      const data::TokenList& tokens, const at::Device& device);

}  // namespace esmscale::model
