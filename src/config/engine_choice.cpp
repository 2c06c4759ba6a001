#include "esmscale/config/engine_choice.h"

namespace esmscale::config {

Precision precision_on(Precision asked, DeviceKind device, bool has_bf16) {
  if (asked != Precision::automatic) return asked;
  return device == DeviceKind::gpu && has_bf16 ? Precision::bf16 : Precision::fp32;
}

bool shards_master_weights(const RunConfig& config, int ranks) {
  return ranks > 1 && config.parallel.master_weights == MasterWeights::sharded &&
         has_short_activations(config.train.precision);
}

bool fits_gpu_kernels(const ModelConfig& model, Precision precision) {
  const int64_t element_bytes = has_short_activations(precision) ? 2 : 4;
  return model.head_dim() % 8 == 0 && model.width % 8 == 0 && model.ffn_dim() % 8 == 0 &&
         model.width * element_bytes <= kWidestGpuRowBytes;
}

bool is_fused(EngineKind engine, const ModelConfig& model, Precision precision, DeviceKind device) {
  if (engine != EngineKind::automatic) return engine == EngineKind::fused;
  return device == DeviceKind::cpu || fits_gpu_kernels(model, precision);
}

}  // namespace esmscale::config
