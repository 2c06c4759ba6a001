// How a step is computed. Two engines behind one seam: `plain`, ATen operations under autograd, the
// reference; and `fused`, written out forward and backward.
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
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual const char* name() const = 0;
  // In training, whether the last block has masked rows only behind its keys and values.
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

// Says that the weights stay as they are while it lives, so an engine that rounds them does so once, for all
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

// A request that cannot be honoured (bf16 on a CPU, recomputation by the plain engine) is a usage error,
// which is known before there are weights.
void require_engine(const EngineOptions& options, const config::ModelConfig& model,
                    config::DeviceKind device);

// `weights` must outlive the engine; it reads their values anew at every call but while they are held. `auto`
// takes fused wherever it can; fused on a GPU for widths that its kernels do not take is a usage error too.
std::unique_ptr<Engine> make_engine(const Weights& weights, const EngineOptions& options);

// The fused engine with the kernels that were written for GPUs, wherever the weights are. On a CPU they run
// slowly: for tests, which so see all of it but the launches.
std::unique_ptr<Engine> make_engine_of_gpu_kernels(const Weights& weights, const EngineOptions& options);

}  // namespace esmscale::model
