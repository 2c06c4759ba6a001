// Files and models that people give in place of an EsmForMaskedLM folder, each named for what it is, with the
// way to one that esmscale reads.
#pragma once

#include "esmscale/core/json.h"
#include "interop/tensor_set.h"

#include <filesystem>
#include <string>

namespace esmscale::interop {

// Error for a path where there cannot be a model: a name on the Hugging Face Hub, a PyTorch file, an adapter,
// nothing at all.
void require_model_folder(const std::filesystem::path& path);

// Error for a config.json of another model, by its model_type and vocabulary.
void require_esm_config(const Json& config, const std::filesystem::path& file);

// Error for tensors of another class than EsmForMaskedLM: an adapter, a model without a head for letters.
void require_masked_lm(const TensorSet& tensors);

// The first three of `faults`, and how many more there are.
std::string first_of(const std::vector<std::string>& faults);

}  // namespace esmscale::interop
