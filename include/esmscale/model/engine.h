// How a step is computed. One interface, two engines: `plain`, the reference, runs ATen operations under
// autograd; `fused` has forward and backward written out.
#pragma once

#include "esmscale/config/engine_choice.h"
#include "esmscale/model/device_batch.h"
#include "esmscale/model/sink.h"
#include "esmscale/model/weights.h"

#include <memory>

#include <ATen/core/Tensor.h>

namespace esmscale::model {

struct EngineOptions {
  config::EngineKind engine = config::EngineKind::automatic;
  config::Precision precision = config::Precision::fp32;
  config::Recompute recompute = config::Recompute::outputs;
  bool has_sharded_masters = false;  // as the weights have
  bool allow_slow_bf16 = false;      // on a CPU without instructions for it
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual config::EngineKind kind() const = 0;
  // True if, after keys and values, the last block of a training step computes masked rows only.
  virtual bool prunes_last_block() const { return false; }
  virtual at::Device device() const = 0;

  // Adds the gradients of the summed cross-entropy over the masked positions to the sink. Returns that sum
  // (nats, a scalar on the device, not yet waited for).
  virtual at::Tensor forward_backward(const DeviceBatch& batch, GradientSink& sink) = 0;

  // Hidden states after the final norm, [T, D] fp32; no gradient.
  virtual at::Tensor hidden(const DeviceBatch& batch) = 0;

  // The RoBERTa head on hidden rows [R, D]: logits [R, V] fp32; no gradient.
  virtual at::Tensor logits(const at::Tensor& hidden_RD) = 0;

 private:
  friend class WeightCastScope;
  virtual void freeze_weights(bool /*frozen*/) {}
};

// While it lives the weights do not change, so an engine that casts them to bf16 does so once for all
// micro-batches of a step.
class WeightCastScope {
 public:
  explicit WeightCastScope(Engine& engine) : engine_(engine) { engine_.freeze_weights(true); }
  ~WeightCastScope() { engine_.freeze_weights(false); }
  WeightCastScope(const WeightCastScope&) = delete;
  WeightCastScope& operator=(const WeightCastScope&) = delete;

 private:
  Engine& engine_;
};

// Usage error for options that the engine cannot serve: a precision except fp32 and bf16 (`automatic` too) on
// a CPU, bf16 on one without instructions for it (unless allow_slow_bf16), recomputation of blocks or sharded
// masters with the plain engine, and fp8 without the fused engine, three blocks and widths that are multiples
// of 16. No weights are needed for the check.
void require_engine(const EngineOptions& options, const config::ModelConfig& model,
                    config::DeviceKind device);

// `weights` must outlive the engine, which reads their values at every call except within a WeightCastScope.
// `auto` takes fused wherever it can; fused on a GPU is a usage error for widths that its kernels cannot
// take.
std::unique_ptr<Engine> make_engine(const Weights& weights, const EngineOptions& options);

// The fused engine with the GPU kernels, wherever the weights are. On a CPU they run slowly, for tests, which
// thereby cover everything except the launches.
std::unique_ptr<Engine> make_engine_of_gpu_kernels(const Weights& weights, const EngineOptions& options);

}  // namespace esmscale::model
