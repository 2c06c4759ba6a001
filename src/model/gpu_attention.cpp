#include "model/gpu_attention.h"

#include "model/attention.h"
#include "model/gpu_work.h"

#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/outer.h>
#include <torch/csrc/autograd/autograd.h>

namespace esmscale::model {

namespace gpu = kernels::gpu;

namespace {

gpu::AttentionBlocks listed(const at::Tensor& blocks) {
  return {static_cast<const gpu::AttentionBlock*>(blocks.data_ptr()), blocks.size(0)};
}

at::Tensor positions_of_queries(const DeviceBatch& batch, const Projections& p) {
  return p.q_MD.defined() ? batch.positions_T.index_select(0, batch.masked_rows_M) : batch.positions_T;
}

}  // namespace

template <class T>
void GpuAttention<T>::forward(const DeviceBatch& batch, const at::Tensor& bias_3D, AttentionState& state) {
  for (const Part& part : parts(batch, state.in)) rotate(batch, bias_3D, part);
  if (!is_ours()) return forward_of_aten(batch, state);
  const at::Tensor& asking = state.in.q_MD.defined() ? state.in.q_MD : state.in.qkv_T3D;
  const int64_t queries = asking.size(0);
  state.attended_TD = at::empty({queries, weights_.config.width}, asking.options());
  state.lse_HT = at::empty({weights_.config.heads, queries}, asking.options().dtype(at::kFloat));
  if constexpr (k16Bits) gpu::run(ours(batch, bias_3D, state), place_of(asking));
}

template <class T>
void GpuAttention<T>::backward(const DeviceBatch& batch, const at::Tensor& bias_3D,
                               const AttentionState& state, const at::Tensor& dattended_TD,
                               const Projections& gradient, const at::Tensor& dbias_3D) {
  if (!is_ours()) return backward_of_aten(batch, state, dattended_TD, gradient, dbias_3D);
  if constexpr (k16Bits) backward_of_ours(batch, bias_3D, state, dattended_TD, gradient, dbias_3D);
}

template <class T>
std::vector<typename GpuAttention<T>::Part> GpuAttention<T>::parts(const DeviceBatch& batch,
                                                                   const Projections& p) const {
  const int with_v = is_ours() ? 0 : 1;
  if (!p.q_MD.defined()) return {{{0, 2 + with_v}, p.qkv_T3D, batch.positions_T}};
  return {{{0, 1}, p.q_MD, positions_of_queries(batch, p)}, {{1, 1 + with_v}, p.kv_T2D, batch.positions_T}};
}

template <class T>
typename GpuAttention<T>::Heads GpuAttention<T>::heads_of(const Projections& p) const {
  const int64_t d = weights_.config.width;
  T* const first = numbers<T>(p.q_MD.defined() ? p.kv_T2D : p.qkv_T3D);
  if (p.q_MD.defined()) return {numbers<T>(p.q_MD), first, first + d, d, 2 * d};
  return {first, first + d, first + 2 * d, 3 * d, 3 * d};
}

template <class T>
void GpuAttention<T>::rotate(const DeviceBatch& batch, const at::Tensor& bias_3D, const Part& part) {
  gpu::run(gpu::Rotate<T>{.rows = part.x.size(0),
                          .heads = weights_.config.heads,
                          .head_dim = weights_.config.head_dim(),
                          .angles = angles(batch, part.positions),
                          .scale = is_ours() ? scale() * gpu::kLog2E : scale(),
                          .bias = floats(bias_3D),
                          .x = numbers<T>(part.x),
                          .step = part.x.stride(0),
                          .parts = part.which},
           place_of(part.x));
}

template <class T>
gpu::RotaryAngles GpuAttention<T>::angles(const DeviceBatch& batch, const at::Tensor& positions) {
  if (!cosines_.defined() || cosines_.size(0) < batch.max_length) {
    const at::Tensor all =
        at::outer(at::arange(batch.max_length, weights_.inv_freq.options()), weights_.inv_freq);
    cosines_ = all.cos();
    sines_ = all.sin();
  }
  return {.positions = positions.data_ptr<int64_t>(), .cosines = floats(cosines_), .sines = floats(sines_)};
}

template <class T>
float GpuAttention<T>::scale() const {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(weights_.config.head_dim())));
}

template <class T>
gpu::Attention GpuAttention<T>::ours(const DeviceBatch& batch, const at::Tensor& bias_3D,
                                     const AttentionState& state) const requires k16Bits {
  const Heads x = heads_of(state.in);
  const bool masked = state.in.q_MD.defined();
  const int32_t* sequences = batch.cu_seqlens.data_ptr<int32_t>();
  const DeviceBatch::BlockLists& blocks = masked ? batch.masked_blocks : batch.blocks;
  return {.queries = state.attended_TD.size(0),
          .heads = weights_.config.heads,
          .head_dim = weights_.config.head_dim(),
          .query_starts = masked ? batch.masked_starts.data_ptr<int32_t>() : sequences,
          .key_starts = sequences,
          .query_blocks = listed(blocks.queries),
          .key_blocks = listed(blocks.keys),
          .q = x.q,
          .k = x.k,
          .v = x.v,
          .q_step = x.q_step,
          .kv_step = x.kv_step,
          .v_bias = floats(bias_3D) + 2 * weights_.config.width,
          .out = numbers<T>(state.attended_TD),
          .minus_lse = floats(state.lse_HT)};
}

template <class T>
void GpuAttention<T>::backward_of_ours(const DeviceBatch& batch, const at::Tensor& bias_3D,
                                       const AttentionState& state, const at::Tensor& dattended_TD,
                                       const Projections& gradient,
                                       const at::Tensor& dbias_3D) requires k16Bits {
  const gpu::Attention forward = ours(batch, bias_3D, state);
  const int64_t width = weights_.config.width;
  const auto room_for_sums = [&](const gpu::AttentionBlocks& blocks, int64_t sums) {
    return at::empty({blocks.count, sums, width}, dbias_3D.options());
  };
  const at::Tensor q_partials = room_for_sums(forward.query_blocks, 1),
                   kv_partials = room_for_sums(forward.key_blocks, 2),
                   minus_delta_HT = at::empty_like(state.lse_HT),
                   query_positions = positions_of_queries(batch, gradient);
  const Heads d = heads_of(gradient);
  gpu::run(gpu::AttentionBackward{.forward = forward,
                                  .dout = numbers<T>(dattended_TD),
                                  .minus_delta = floats(minus_delta_HT),
                                  .query_angles = angles(batch, query_positions),
                                  .key_angles = angles(batch, batch.positions_T),
                                  .scale = scale(),
                                  .dq = d.q,
                                  .dk = d.k,
                                  .dv = d.v,
                                  .dq_step = d.q_step,
                                  .dkv_step = d.kv_step,
                                  .q_partials = floats(q_partials),
                                  .kv_partials = floats(kv_partials)},
           place_of(minus_delta_HT));
  add_partials(q_partials, {dbias_3D.narrow(0, 0, width)});
  add_partials(kv_partials, {dbias_3D.narrow(0, width, width), dbias_3D.narrow(0, 2 * width, width)});
}

template <class T>
void GpuAttention<T>::forward_of_aten(const DeviceBatch& batch, AttentionState& state) const {
  const at::Tensor qkv =
      state.in.qkv_T3D.view({batch.rows(), 3, weights_.config.heads, weights_.config.head_dim()});
  for (int64_t part = 0; part < 3; ++part)
    state.leaves_THK[part] = qkv.select(1, part).detach().requires_grad_();
  const at::AutoGradMode on(true);
  state.output_THK = attention(state.leaves_THK[0], state.leaves_THK[1], state.leaves_THK[2], batch);
  state.attended_TD = state.output_THK.detach().reshape({batch.rows(), -1});
}

template <class T>
void GpuAttention<T>::backward_of_aten(const DeviceBatch& batch, const AttentionState& state,
                                       const at::Tensor& dattended_TD, const Projections& gradient,
                                       const at::Tensor& dbias_3D) {
  const std::vector<at::Tensor> gradients =
      torch::autograd::grad({state.output_THK}, {state.leaves_THK.begin(), state.leaves_THK.end()},
                            {dattended_TD.view(state.output_THK.sizes())});
  const at::Tensor dq = gradients[0].contiguous(), dk = gradients[1].contiguous(),
                   dv = gradients[2].contiguous();
  const int64_t rows = batch.rows();
  const at::Tensor partials =
      at::empty({gpu::blocks_of(rows), 1, 3 * weights_.config.width}, dbias_3D.options());
  gpu::run(gpu::RotateBackward<T>{.rows = rows,
                                  .heads = weights_.config.heads,
                                  .head_dim = weights_.config.head_dim(),
                                  .angles = angles(batch, batch.positions_T),
                                  .scale = scale(),
                                  .from = {numbers<T>(dq), numbers<T>(dk), numbers<T>(dv)},
                                  .dx = numbers<T>(gradient.qkv_T3D),
                                  .partials = floats(partials)},
           place_of(partials));
  add_partials(partials, {dbias_3D});
}

template class GpuAttention<float>;
template class GpuAttention<kernels::BFloat16>;

}  // namespace esmscale::model
