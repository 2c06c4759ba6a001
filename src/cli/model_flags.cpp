#include "cli/model_flags.h"

#include "cli/checks.h"
#include "cli/device_flag.h"
#include "cli/enum_flag.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/text.h"
#include "esmscale/train/process/device.h"
#include "esmscale/train/process/process_setup.h"

namespace esmscale::cli {
namespace {

constexpr int64_t kGpuRows = 16384, kCpuRows = 2048;

}  // namespace

void add_weights_flag(CLI::App& verb, optim::WeightSet& weights) {
  add_enum_flag(verb, "--weights", weights,
                "trained, or an average that the run kept: ema or last (average.*)");
}

void add_precision_flag(CLI::App& verb, config::Precision& precision) {
  add_enum_flag(
      verb, "--precision", precision,
      "Precision of matrix products: fp32, bf16 (GPU, or CPU with AVX512_BF16 or AMX) or tf32 (GPU)",
      {"fp32", "tf32", "bf16"});
}

void add_model_flags(CLI::App& verb, ModelFlags& flags) {
  add_device_flag(verb, flags.device);
  add_precision_flag(verb, flags.precision);
  verb.add_option("--batch-rows", flags.batch_rows,
                  text("Rows of one forward pass; default: ", kCpuRows, " on a CPU, ", kGpuRows, " on a GPU"))
      ->check(whole_number());
  add_weights_flag(verb, flags.weights);
}

std::string checksum_of(const ModelOnDevice& model) {
  const at::Tensor flat = model.weights->flat.cpu();
  return checksum_hex({static_cast<const char*>(flat.const_data_ptr()), flat.nbytes()});
}

ModelOnDevice open_model(const Program& program, const std::string& path, const ModelFlags& flags) {
  train::set_up_process(program.thread_count());
  const at::Device device = train::choose_device(flags.device);
  interop::LoadedModel loaded = interop::load_model(path, flags.weights);
  interop::require_numbers(loaded.weights, loaded.path);
  ModelOnDevice model{.path = loaded.path,
                      .info = std::move(loaded.info),
                      .weights = std::make_unique<model::Weights>(model::copy_of(loaded.weights, device)),
                      .engine = nullptr};
  model.engine = model::make_engine(*model.weights, {.precision = flags.precision});
  model.batch_rows = flags.batch_rows >= 0 ? flags.batch_rows : device.is_cuda() ? kGpuRows : kCpuRows;
  return model;
}

}  // namespace esmscale::cli
