#include "esmscale/model/device_batch.h"

#include "esmscale/kernels/gpu/gpu.h"

#include <algorithm>

#include <ATen/ops/empty.h>

namespace esmscale::model {
namespace {

template <class Out, class In>
at::Tensor tensor_of(const std::vector<In>& values, at::ScalarType type, const at::Device& device) {
  const at::Tensor host = at::empty({static_cast<int64_t>(values.size())},
                                    at::TensorOptions().dtype(type).pinned_memory(device.is_cuda()));
  std::copy(values.begin(), values.end(), host.data_ptr<Out>());
  return host.to(device, /*non_blocking=*/true);
}

// The first masked row of each sequence, and the end. Masked rows ascend; inert ones follow them.
std::vector<int32_t> masked_starts(const data::PackedBatch& batch, const std::vector<int32_t>& cu_seqlens) {
  const auto begin = batch.masked_rows.begin();
  std::vector<int32_t> starts;
  for (int32_t row : cu_seqlens)
    starts.push_back(static_cast<int32_t>(std::lower_bound(begin, begin + batch.real_masked, row) - begin));
  starts.back() = static_cast<int32_t>(batch.masked_rows.size());
  return starts;
}

at::Tensor block_list(const std::vector<int32_t>& starts, const std::vector<int32_t>& other_starts,
                      const at::Device& device) {
  std::vector<int32_t> numbers;
  for (const auto& [sequence, first] : kernels::gpu::attention_blocks(starts, other_starts))
    numbers.insert(numbers.end(), {sequence, first});
  return tensor_of<int32_t>(numbers, at::kInt, device).view({-1, 2});
}

}  // namespace

DeviceBatch to_device(const data::PackedBatch& batch, const config::ModelConfig& model,
                      const data::TokenList& tokens, const at::Device& device) {
  std::vector<float> factors(batch.tokens.size());
  std::vector<int64_t> positions(batch.tokens.size());
  DeviceBatch result;
  std::vector<int32_t> cu_seqlens{0};
  for (size_t i = 0; i + 1 < batch.cu_seqlens.size(); ++i) {
    const int64_t begin = batch.cu_seqlens[i], length = batch.cu_seqlens[i + 1] - begin;
    if (length == 0) continue;
    const double observed = static_cast<double>(batch.mask_counts[i]) / static_cast<double>(length);
    const auto shown = static_cast<float>((1 - 0.8 * model.token_dropout_rate) / (1 - observed));
    for (int64_t t = 0; t < length; ++t) {
      const int32_t token = batch.tokens[begin + t];
      const bool zeroed = token == tokens.pad() || (model.token_dropout && token == tokens.mask());
      factors[begin + t] = zeroed ? 0.0f : model.token_dropout ? shown : 1.0f;
      positions[begin + t] = t;
    }
    cu_seqlens.push_back(batch.cu_seqlens[i + 1]);
    result.lengths.push_back(length);
    result.max_length = std::max(result.max_length, length);
  }
  result.tokens_T = tensor_of<int64_t>(batch.tokens, at::kLong, device);
  result.factor_T = tensor_of<float>(factors, at::kFloat, device);
  result.positions_T = tensor_of<int64_t>(positions, at::kLong, device);
  result.cu_seqlens = tensor_of<int32_t>(cu_seqlens, at::kInt, device);
  result.masked_rows_M = tensor_of<int64_t>(batch.masked_rows, at::kLong, device);
  result.targets_M = tensor_of<int64_t>(batch.targets, at::kLong, device);
  const std::vector<int32_t> starts = masked_starts(batch, cu_seqlens);
  result.blocks.queries = result.blocks.keys = block_list(cu_seqlens, cu_seqlens, device);
  result.masked_blocks = {block_list(starts, cu_seqlens, device), block_list(cu_seqlens, starts, device)};
  result.masked_starts = tensor_of<int32_t>(starts, at::kInt, device);
  result.masked = batch.real_masked;
  return result;
}

}  // namespace esmscale::model
