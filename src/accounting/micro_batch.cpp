#include "esmscale/accounting/micro_batch.h"

#include "esmscale/accounting/memory.h"

#include <algorithm>

namespace esmscale::accounting {

int64_t largest_micro_batch(const config::RunConfig& config, int ranks, double device_bytes) {
  constexpr double kUsable = 0.8;
  config::RunConfig tried = config;
  const int64_t pack = config.train.pack_tokens, packs = config.train.batch_tokens / pack;
  const int64_t most = std::min((packs + ranks - 1) / ranks * pack, kMostRows);
  int64_t chosen = pack;
  for (int64_t rows = pack; rows <= most; rows *= 2) {
    tried.train.micro_batch_tokens = rows;
    if (predict_memory(tried, ranks, config::DeviceKind::gpu).total() > kUsable * device_bytes) break;
    chosen = rows;
  }
  return chosen;
}

}  // namespace esmscale::accounting
