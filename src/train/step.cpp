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
namespace {

// Places in the flat tensor of sums that all ranks reduce, and of the outcome that follows them.
enum StepSum : int64_t { kLoss, kMasked, kSquaredNorm, kStops, kCheckpoints, kPartsDone, kStepSums };
enum StepOutcome : int64_t { kGradNorm = kStepSums, kSkipped };

struct BackwardSums {
  at::Tensor loss;  // fp64 scalar on the device
  double masked = 0;
};

// Gradients of all micro-batches of this rank; nullopt when the step was abandoned.
std::optional<BackwardSums> backward(const StepParts& parts, const data::GlobalBatch& batch,
                                     const at::TensorOptions& scalar) {
  BackwardSums sums{.loss = at::zeros({}, scalar)};
  const model::WeightCastScope held(parts.engine);
  for (size_t i = 0; i < batch.micro_batches.size(); ++i) {
    if (parts.abandons && parts.abandons(i)) return std::nullopt;
    const data::PackedBatch& micro = batch.micro_batches[i];
    parts.gradients.begin_micro_batch(/*is_last=*/i + 1 == batch.micro_batches.size());
    if (micro.real_tokens > 0) {
      const model::DeviceBatch on_device =
          model::to_device(micro, parts.model, parts.tokens, parts.engine.device());
      sums.loss += parts.engine.forward_backward(on_device, parts.gradients);
      sums.masked += static_cast<double>(on_device.masked);
    }
    parts.gradients.end_micro_batch();
  }
  return sums;
}

// By StepSum, of this rank.
at::Tensor sums_of(const BackwardSums& sums, const dist::Gradients& gradients, StopRequests requests,
                   const at::TensorOptions& scalar) {
  const auto on_device = [&](double value) { return at::full({}, value, scalar); };
  return at::stack({sums.loss, on_device(sums.masked), optim::squared_norm(gradients.disjoint_shard()),
                    on_device(requests.stop), on_device(requests.checkpoint),
                    on_device(static_cast<double>(requests.parts_done))});
}

}  // namespace

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
  const double masked = values[kMasked];
  return {.loss = values[kLoss] / masked,
          .grad_norm = values[kGradNorm],
          .masked = static_cast<int64_t>(masked),
          .skipped = values[kSkipped] != 0,
          .requests = {.stop = values[kStops] > 0,
                       .checkpoint = values[kCheckpoints] > 0,
                       .parts_done = static_cast<int64_t>(values[kPartsDone])}};
}

std::optional<StepResult> train_step(const StepParts& parts, const data::GlobalBatch& batch,
                                     const optim::Rates& rates) {
  dist::Gradients& gradients = parts.gradients;
  const auto scalar = at::TensorOptions().dtype(at::kDouble).device(parts.engine.device());
  gradients.zero();
  const std::optional<BackwardSums> own = backward(parts, batch, scalar);
  if (!own) return std::nullopt;
  const at::Tensor sums = sums_of(*own, gradients, parts.requests(), scalar);
  {
    const model::Span span("reduce");
    parts.group.all_reduce(sums).wait();
  }
  const model::Span span("optimizer");
  const optim::GradientScale scale =
      optim::gradient_scale(sums[kSquaredNorm], sums[kLoss], sums[kMasked], parts.max_norm);
  parts.optimizer.step(rates, gradients.updated_shard(), scale, [&](size_t bucket) {
    if (gradients.stage() > 0) parts.weights.launch(bucket);
  });
  parts.weights.finish();
  return StepResult(sums, scale);
}

}  // namespace esmscale::train
