#include "study/plan/device_fit.h"

#include "esmscale/accounting/memory.h"

#include <algorithm>

namespace esmscale::study {
namespace {

constexpr double kUsable = 0.9;
constexpr int kLargestStage = 2;

double bytes_of(const config::RunConfig& config, int ranks) {
  return accounting::predict_memory(config, ranks, config::DeviceKind::gpu).total();
}

}  // namespace

DeviceFit fit_to_device(config::RunConfig& config, int ranks, double device_bytes) {
  DeviceFit fit{.fits = true, .memory_bytes = bytes_of(config, ranks)};
  if (device_bytes <= 0 || fit.memory_bytes <= kUsable * device_bytes) return fit;
  const int64_t pack = config.train.pack_tokens, largest = config.train.micro_batch_tokens;
  config::RunConfig least = config;
  for (int stage = 0; stage <= (ranks > 1 ? kLargestStage : 0); ++stage)
    for (const auto recompute : {config::Recompute::outputs, config::Recompute::blocks})
      for (int64_t packs = std::max<int64_t>(1, largest / pack); packs >= 1; packs /= 2) {
        config.parallel.zero_stage = stage;
        config.train.recompute = recompute;
        config.train.micro_batch_tokens = packs * pack;
        const double bytes = bytes_of(config, ranks);
        if (bytes <= kUsable * device_bytes) return {.fits = true, .memory_bytes = bytes};
        if (bytes >= fit.memory_bytes) continue;
        fit.memory_bytes = bytes;
        least = config;
      }
  config = least;
  fit.fits = false;
  return fit;
}

FewestRanks fewest_ranks(const config::RunConfig& config, double device_bytes) {
  constexpr int kMost = 4096;
  for (int ranks = 2; ranks <= kMost; ranks *= 2) {
    config::RunConfig copy = config;
    if (fit_to_device(copy, ranks, device_bytes).fits) return {ranks, int(copy.parallel.zero_stage)};
  }
  return {};
}

}  // namespace esmscale::study
