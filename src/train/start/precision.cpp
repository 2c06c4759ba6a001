#include "train/start/precision.h"

#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/train/process/device.h"

namespace esmscale::train {
namespace {

using config::Precision;

Precision precision_of_checkpoint(const std::filesystem::path& named) {
  return checkpoint::read_checkpoint_info(checkpoint::resolve_checkpoint(named)).config.train.precision;
}

}  // namespace

config::RunConfig with_recorded_precision(const TrainOptions& options, const run::RunFolder& run) {
  config::RunConfig config = options.config;
  Precision& precision = config.train.precision;
  if (precision != Precision::automatic) return config;
  const bool names_checkpoint = options.resume != "auto" && options.resume != "never";
  if (options.resume != "never" && run.is_run())
    precision = run.read_config().train.precision;
  else if (names_checkpoint)
    precision = precision_of_checkpoint(options.resume);
  else if (!options.branch_from.empty())
    precision = precision_of_checkpoint(options.branch_from);
  return config;
}

void settle_precision(TrainOptions& options, const run::RunFolder& run, config::DeviceKind device,
                      std::vector<std::string>& warnings) {
  const bool is_fast_in_bf16 = has_bf16(device);
  const Precision asked = with_recorded_precision(options, run).train.precision;
  options.config.train.precision = config::precision_on(asked, device, is_fast_in_bf16);
  if (options.config.train.precision == Precision::fp8 && device == config::DeviceKind::gpu &&
      !has_fp8(device))
    throw usage_error({.where = "train.precision",
                       .expected = "bf16 or less on this GPU: e4m3 needs compute capability 8.9",
                       .found = "fp8",
                       .advice = "use --set train.precision=bf16"});
  config::MasterWeights& masters = options.config.parallel.master_weights;
  if (masters == config::MasterWeights::sharded &&
      !config::has_short_activations(options.config.train.precision)) {
    masters = config::MasterWeights::whole;
    warnings.push_back(text("train.precision=auto is ", enum_name(options.config.train.precision),
                            " here, so parallel.master_weights=sharded has no effect"));
  }
  if (is_fast_in_bf16 && options.config.train.precision == Precision::fp32)
    warnings.push_back(text("train.precision is fp32 on a GPU: bf16 was 14 times as fast for 8M on an H200 ",
                            "(docs/performance.md); a new run takes it with train.precision=auto or bf16"));
}

}  // namespace esmscale::train
