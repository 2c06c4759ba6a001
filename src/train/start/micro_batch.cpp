#include "train/start/micro_batch.h"

#include "esmscale/accounting/micro_batch.h"

namespace esmscale::train {

void settle_micro_batch(TrainOptions& options, const run::RunFolder& run, int ranks,
                        config::DeviceKind device, double device_bytes) {
  if (!options.chooses_micro_batch) return;
  config::TrainConfig& train = options.config.train;
  if (options.resume != "never" && run.is_run()) {
    const config::TrainConfig recorded = run.read_config().train;
    if (recorded.pack_tokens == train.pack_tokens && recorded.micro_batch_tokens > 0)
      train.micro_batch_tokens = recorded.micro_batch_tokens;
  } else if (device == config::DeviceKind::gpu) {
    train.micro_batch_tokens = accounting::largest_micro_batch(options.config, ranks, device_bytes);
  }
}

}  // namespace esmscale::train
