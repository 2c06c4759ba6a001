// Bytes a run allocates on one rank, per part: what train measures must be within 15% of it. Only
// tensors that the run allocates; the program itself, its libraries and the loader's queue come on top.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/config/engine_choice.h"

#include <cstdint>

namespace esmscale::accounting {

struct MemoryPrediction {
  double parameters = 0;  // flat fp32 masters; bf16 adds the copies the blocks compute with
  double gradients =
      0;               // flat fp32; ZeRO-1 adds this rank's shard, ZeRO-2 keeps that and buckets on their way
  double moments = 0;  // fp32: Adam's two, muon's one; ZeRO-1 and ZeRO-2 keep this rank's shard
  double averages = 0;     // fp32: those of the weights; ZeRO-1 and ZeRO-2 keep this rank's shard
  double activations = 0;  // what forward leaves for backward, one micro-batch
  double workspace = 0;    // the largest temporaries of backward, or what the update needs beyond that
  double total() const { return parameters + gradients + moments + averages + activations + workspace; }
};

// The device that a run of this precision uses by default: a GPU for tf32, bf16 and fp8, else a CPU.
// `automatic` counts as fp32.
config::DeviceKind usual_device(const config::RunConfig& config);

// True if, after keys and values, the last block computes masked rows only: the fused engine does so on a
// CPU, and on a GPU with our attention (bf16 or fp8, head dims 16, 24, 32 and 64).
bool prunes_last_block(const config::RunConfig& config, config::DeviceKind device);

// For a resolved config on `ranks` ranks. Ranks share the packs of a batch evenly, so a rank may have fewer
// than a micro-batch holds.
MemoryPrediction predict_memory(const config::RunConfig& config, int ranks, config::DeviceKind device);

}  // namespace esmscale::accounting
