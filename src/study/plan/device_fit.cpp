#include "study/plan/device_fit.h"

#include "esmscale/accounting/memory.h"
#include "esmscale/config/engine_choice.h"

#include <algorithm>
#include <vector>

namespace esmscale::study {
namespace {

constexpr double kUsable = 0.9;

double bytes_of(const config::RunConfig& config, int ranks) {
  return accounting::predict_memory(config, ranks, config::DeviceKind::gpu).total();
}

// The ways to run it, from the plainest to the one that needs least memory. Whole master weights come first:
// no GPU has run sharded ones.
std::vector<config::RunConfig> ways_to_run(config::RunConfig config, int ranks) {
  using enum config::MasterWeights;
  const int64_t pack = config.train.pack_tokens,
                most = std::max<int64_t>(1, config.train.micro_batch_tokens / pack);
  std::vector<config::RunConfig> ways;
  const auto add = [&](config::MasterWeights masters, int stage) {
    config.parallel.master_weights = masters;
    config.parallel.zero_stage = stage;
    for (const auto recompute : {config::Recompute::outputs, config::Recompute::blocks})
      for (int64_t packs = most; packs >= 1; packs /= 2) {
        config.train.recompute = recompute;
        config.train.micro_batch_tokens = packs * pack;
        ways.push_back(config);
      }
  };
  for (const int stage : {0, 1, 2})
    if (stage == 0 || ranks > 1) add(whole, stage);
  if (ranks > 1 && config::has_short_activations(config.train.precision))
    for (const int stage : {1, 2}) add(sharded, stage);
  return ways;
}

}  // namespace

DeviceFit fit_to_device(config::RunConfig& config, int ranks, double device_bytes) {
  DeviceFit fit{.fits = true, .memory_bytes = bytes_of(config, ranks)};
  if (device_bytes <= 0 || fit.memory_bytes <= kUsable * device_bytes) return fit;
  for (const config::RunConfig& way : ways_to_run(config, ranks)) {
    const double bytes = bytes_of(way, ranks);
    fit.fits = bytes <= kUsable * device_bytes;
    if (!fit.fits && bytes >= fit.memory_bytes) continue;
    fit.memory_bytes = bytes;
    config = way;
    if (fit.fits) break;
  }
  return fit;
}

FewestRanks fewest_ranks(const config::RunConfig& config, double device_bytes) {
  constexpr int kMost = 4096;
  for (int ranks = 2; ranks <= kMost; ranks *= 2) {
    config::RunConfig copy = config;
    if (fit_to_device(copy, ranks, device_bytes).fits)
      return {ranks, int(copy.parallel.zero_stage), copy.parallel.master_weights};
  }
  return {};
}

}  // namespace esmscale::study
