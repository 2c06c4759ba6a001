#include "train/step.h"

#include "esmscale/model/span.h"

#include <algorithm>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace esmscale::train {

StepResult::StepResult(const at::Tensor& sums, const optim::GradientScale& scale) {
  const at::Tensor outcome = at::stack({scale.norm.to(at::kDouble), scale.found_inf.to(at::kDouble)});
  const at::Tensor values = at::cat({sums, outcome});
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
  const double masked = values[1];
  return {.loss = values[0] / masked,
          .grad_norm = values[5],
          .masked = static_cast<int64_t>(masked),
          .skipped = values[6] != 0,
          .wishes = {.stop = values[3] > 0, .checkpoint = values[4] > 0}};
}

StepResult train_step(const StepParts& parts, const data::GlobalBatch& batch, double lr) {
  dist::Gradients& gradients = parts.gradients;
  const auto scalar = at::TensorOptions().dtype(at::kDouble).device(parts.engine.device());
  at::Tensor loss_sum = at::zeros({}, scalar);
  double masked = 0;
  gradients.zero();
  {
    const model::WeightCastScope held(parts.engine);
    for (const data::PackedBatch& micro : batch.micro_batches) {
      gradients.begin_micro_batch(&micro == &batch.micro_batches.back());
      if (micro.real_tokens > 0) {
        const model::DeviceBatch on_device =
            model::to_device(micro, parts.model, parts.mlm_probability, parts.tokens, parts.engine.device());
        loss_sum += parts.engine.forward_backward(on_device, gradients);
        masked += static_cast<double>(on_device.masked);
      }
      gradients.end_micro_batch();
    }
  }

  const Wishes wishes = parts.wishes();
  const auto known = [&](double value) { return at::full({}, value, scalar); };
  const at::Tensor sums = at::stack({loss_sum, known(masked), optim::squared_norm(gradients.owned()),
                                     known(wishes.stop), known(wishes.checkpoint)});
  {
    const model::Span span("reduce");
    parts.group.all_reduce(sums).wait();
  }
  const model::Span span("optimizer");
  const optim::GradientScale scale = optim::gradient_scale(sums[2], sums[0], sums[1], parts.max_norm);
  parts.adam.step(lr, gradients.mine(), scale, [&](size_t bucket) {
    if (gradients.stage() > 0) parts.weights.leave(bucket);
  });
  parts.weights.finish();
  return {sums, scale};
}

}  // namespace esmscale::train
