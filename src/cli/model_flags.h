// Flags of verbs that send sequences through a model, and the model that they choose.
#pragma once

#include "cli/verb.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/model/engine.h"
#include "esmscale/train/process/device_choice.h"

#include <memory>
#include <string>

namespace esmscale::cli {

// --weights: which weights of a checkpoint.
void add_weights_flag(CLI::App& verb, optim::WeightSet& weights);

// --precision of matrix products.
void add_precision_flag(CLI::App& verb, config::Precision& precision);

struct ModelFlags {
  train::DeviceChoice device = train::DeviceChoice::automatic;
  config::Precision precision = config::Precision::fp32;
  optim::WeightSet weights = optim::WeightSet::trained;
  int64_t batch_rows = -1;  // −1: chosen for the device
};

// --device, --precision, --batch-rows and --weights.
void add_model_flags(CLI::App& verb, ModelFlags& flags);

// A model ready to compute; `engine` reads `weights`.
struct ModelOnDevice {
  std::filesystem::path path;
  checkpoint::CheckpointInfo info;
  std::unique_ptr<model::Weights> weights;
  std::unique_ptr<model::Engine> engine;
  int64_t batch_rows = 0;

  const config::ModelConfig& config() const { return weights->config; }
};

// A checksum of its weights: a request that continues interrupted work must have the same.
std::string checksum_of(const ModelOnDevice& model);

// Error for weights with NaN, a device or a precision that is not there.
ModelOnDevice open_model(const Program& program, const std::string& path, const ModelFlags& flags);

}  // namespace esmscale::cli
