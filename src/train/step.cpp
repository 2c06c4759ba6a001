#include "step.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace esmscale {

StepResult::StepResult(const at::Tensor& loss_sum, const GradientScale& scale, int64_t masked)
    : masked_(masked) {
  const at::Tensor values =
      at::stack({loss_sum, scale.norm.to(at::kDouble), scale.found_inf.to(at::kDouble)});
  if (!values.is_cuda()) {
    values_ = values;
    return;
  }
  values_ = at::empty_like(values, at::TensorOptions().device(at::kCPU).pinned_memory(true));
  values_.copy_(values, /*non_blocking=*/true);
  copied_.emplace(at::kCUDA);
  copied_->record(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(values.device()));
}

StepResult::Values StepResult::wait() {
  if (copied_) copied_->synchronize();
  const double* values = values_.const_data_ptr<double>();
  return {.loss = values[0] / static_cast<double>(std::max<int64_t>(1, masked_)),
          .grad_norm = values[1],
          .skipped = values[2] != 0};
}

StepResult train_step(const StepParts& parts, const GlobalBatch& batch, double lr, int64_t& masked) {
  masked = 0;
  parts.gradients.zero();
  at::Tensor loss_sum = at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(parts.engine.device()));
  for (const PackedBatch& micro : batch.micro_batches) {
    const DeviceBatch on_device =
        to_device(micro, parts.model, parts.mlm_probability, parts.tokens, parts.engine.device());
    loss_sum += parts.engine.forward_backward(on_device, parts.gradients);
    masked += on_device.masked;
  }
  const at::Tensor& gradient = parts.gradients.flat();
  const GradientScale scale = gradient_scale(squared_norm(gradient), loss_sum, masked, parts.max_norm);
  parts.adam.step(lr, gradient, scale);
  return {loss_sum, scale, masked};
}

}  // namespace esmscale
