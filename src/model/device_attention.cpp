#include "device_attention.h"

#include "esmscale/model/attention.h"

#include <cmath>

#include "device_work.h"
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/outer.h>
#include <torch/csrc/autograd/autograd.h>

namespace esmscale {

namespace device = kernels::device;

template <class T>
void DeviceAttention<T>::forward(const DeviceBatch& batch, const at::Tensor& bias_3D, AttentionState& state) {
  for (const Part& part : parts(batch, state.in)) rotate(batch, bias_3D, part);
  if (!is_ours()) return forward_of_aten(batch, state);
  const at::Tensor& asking = state.in.q_MD.defined() ? state.in.q_MD : state.in.qkv_T3D;
  const int64_t queries = asking.size(0);
  state.attended_TD = at::empty({queries, weights_.config.width}, asking.options());
  state.lse_HT = at::empty({weights_.config.heads, queries}, asking.options().dtype(at::kFloat));
  if constexpr (k16Bits) device::run(ours(batch, state), place_of(asking));
}

template <class T>
void DeviceAttention<T>::backward(const DeviceBatch& batch, const AttentionState& state,
                                  const at::Tensor& dattended_TD, const Projections& gradient,
                                  const at::Tensor& dbias_3D) {
  if (!is_ours()) return backward_of_aten(batch, state, dattended_TD, gradient, dbias_3D);
  const Heads d = heads_of(gradient);
  const at::Tensor minus_delta_HT = at::empty_like(state.lse_HT);
  if constexpr (k16Bits)
    device::run(device::AttentionBackward{.forward = ours(batch, state),
                                          .dout = numbers<T>(dattended_TD),
                                          .minus_delta = floats(minus_delta_HT),
                                          .dq = d.q,
                                          .dk = d.k,
                                          .dv = d.v,
                                          .dq_step = d.q_step,
                                          .dkv_step = d.kv_step},
                place_of(minus_delta_HT));
  for (const Part& part : parts(batch, gradient))
    rotate_back(batch, {d.q, d.k, d.v}, part.which.first == 0 ? d.q_step : d.kv_step, part, dbias_3D);
}

template <class T>
std::vector<typename DeviceAttention<T>::Part> DeviceAttention<T>::parts(const DeviceBatch& batch,
                                                                         const Projections& p) const {
  if (!p.q_MD.defined()) return {{{0, 3}, p.qkv_T3D, batch.positions_T}};
  return {{{0, 1}, p.q_MD, batch.positions_T.index_select(0, batch.masked_rows_M)},
          {{1, 2}, p.kv_T2D, batch.positions_T}};
}

template <class T>
typename DeviceAttention<T>::Heads DeviceAttention<T>::heads_of(const Projections& p) const {
  const int64_t d = weights_.config.width;
  T* const first = numbers<T>(p.q_MD.defined() ? p.kv_T2D : p.qkv_T3D);
  if (p.q_MD.defined()) return {numbers<T>(p.q_MD), first, first + d, d, 2 * d};
  return {first, first + d, first + 2 * d, 3 * d, 3 * d};
}

template <class T>
void DeviceAttention<T>::rotate(const DeviceBatch& batch, const at::Tensor& bias_3D, const Part& part) {
  device::run(device::Rotate<T>{.rows = part.x.size(0),
                                .heads = weights_.config.heads,
                                .head_dim = weights_.config.head_dim(),
                                .angles = angles(batch, part.positions),
                                .scale = is_ours() ? scale() * device::kLog2E : scale(),
                                .bias = floats(bias_3D),
                                .x = numbers<T>(part.x),
                                .parts = part.which},
              place_of(part.x));
}

template <class T>
void DeviceAttention<T>::rotate_back(const DeviceBatch& batch, const std::array<const T*, 3>& from,
                                     int64_t step, const Part& part, const at::Tensor& dbias_3D) {
  const int64_t rows = part.x.size(0), width = weights_.config.width;
  const at::Tensor partials =
      at::empty({device::blocks_of(rows), 1, part.which.count * width}, dbias_3D.options());
  device::run(device::RotateBackward<T>{.rows = rows,
                                        .heads = weights_.config.heads,
                                        .head_dim = weights_.config.head_dim(),
                                        .angles = angles(batch, part.positions),
                                        .scale = scale(),
                                        .from = {from[0], from[1], from[2]},
                                        .step = step,
                                        .dx = numbers<T>(part.x),
                                        .partials = floats(partials),
                                        .parts = part.which},
              place_of(part.x));
  add_partials(partials, {dbias_3D.narrow(0, part.which.first * width, part.which.count * width)});
}

template <class T>
device::RotaryAngles DeviceAttention<T>::angles(const DeviceBatch& batch, const at::Tensor& positions) {
  if (!cosines_.defined() || cosines_.size(0) < batch.max_length) {
    const at::Tensor all =
        at::outer(at::arange(batch.max_length, weights_.inv_freq.options()), weights_.inv_freq);
    cosines_ = all.cos();
    sines_ = all.sin();
  }
  return {.positions = positions.data_ptr<int64_t>(), .cosines = floats(cosines_), .sines = floats(sines_)};
}

template <class T>
float DeviceAttention<T>::scale() const {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(weights_.config.head_dim())));
}

template <class T>
device::Attention DeviceAttention<T>::ours(const DeviceBatch& batch,
                                           const AttentionState& state) const requires k16Bits {
  const Heads x = heads_of(state.in);
  const bool masked = state.in.q_MD.defined();
  const int32_t* sequences = batch.cu_seqlens.data_ptr<int32_t>();
  return {.queries = state.attended_TD.size(0),
          .heads = weights_.config.heads,
          .head_dim = weights_.config.head_dim(),
          .sequences = batch.cu_seqlens.numel() - 1,
          .query_starts = masked ? batch.masked_starts.data_ptr<int32_t>() : sequences,
          .key_starts = sequences,
          .longest_queries = masked ? batch.most_masked : batch.max_length,
          .longest_keys = batch.max_length,
          .q = x.q,
          .k = x.k,
          .v = x.v,
          .q_step = x.q_step,
          .kv_step = x.kv_step,
          .out = numbers<T>(state.attended_TD),
          .minus_lse = floats(state.lse_HT)};
}

template <class T>
void DeviceAttention<T>::forward_of_aten(const DeviceBatch& batch, AttentionState& state) const {
  const at::Tensor qkv =
      state.in.qkv_T3D.view({batch.rows(), 3, weights_.config.heads, weights_.config.head_dim()});
  for (int64_t part = 0; part < 3; ++part)
    state.leaves_THK[part] = qkv.select(1, part).detach().requires_grad_();
  const at::AutoGradMode on(true);
  state.output_THK = attention(state.leaves_THK[0], state.leaves_THK[1], state.leaves_THK[2], batch);
  state.attended_TD = state.output_THK.detach().reshape({batch.rows(), -1});
}

template <class T>
void DeviceAttention<T>::backward_of_aten(const DeviceBatch& batch, const AttentionState& state,
                                          const at::Tensor& dattended_TD, const Projections& gradient,
                                          const at::Tensor& dbias_3D) {
  const std::vector<at::Tensor> gradients =
      torch::autograd::grad({state.output_THK}, {state.leaves_THK.begin(), state.leaves_THK.end()},
                            {dattended_TD.view(state.output_THK.sizes())});
  const at::Tensor dq = gradients[0].contiguous(), dk = gradients[1].contiguous(),
                   dv = gradients[2].contiguous();
  rotate_back(batch, {numbers<T>(dq), numbers<T>(dk), numbers<T>(dv)}, weights_.config.width,
              parts(batch, gradient)[0], dbias_3D);
}

template class DeviceAttention<float>;
template class DeviceAttention<kernels::BFloat16>;

}  // namespace esmscale
