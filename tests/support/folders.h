// Hugging Face folders that a test writes, changes and breaks.
#pragma once

#include "esmscale/core/files/files.h"
#include "esmscale/core/json.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/interop/hugging_face.h"
#include "support/batches.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/ops/empty.h>
#include <nlohmann/json.hpp>

namespace esmscale::interop {

using Tensors = std::map<std::string, at::Tensor>;

// F32 and F64.
inline Tensors read_tensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  Tensors tensors;
  for (const TensorEntry& entry : file.entries()) {
    tensors[entry.name] = at::empty(entry.shape, entry.dtype == "F64" ? at::kDouble : at::kFloat);
    const auto bytes = file.bytes(entry);
    std::memcpy(tensors[entry.name].data_ptr(), bytes.data(), bytes.size());
  }
  return tensors;
}

inline std::string dtype_name(at::ScalarType type) {
  switch (type) {
    case at::kHalf:
      return "F16";
    case at::kBFloat16:
      return "BF16";
    case at::kDouble:
      return "F64";
    default:
      return "F32";
  }
}

inline void write_tensors(const std::filesystem::path& path, const Tensors& tensors) {
  std::vector<TensorEntry> entries;
  for (const auto& [name, tensor] : tensors)
    entries.push_back(
        {.name = name, .dtype = dtype_name(tensor.scalar_type()), .shape = tensor.sizes().vec()});
  std::string content = safetensors_header(entries, {{"format", "pt"}});
  for (const auto& [name, tensor] : tensors)
    content.append(static_cast<const char*>(tensor.contiguous().data_ptr()), tensor.nbytes());
  OutputFile(path).write(std::string_view(content));
}

inline void change_tensors(const std::filesystem::path& folder, const std::function<void(Tensors&)>& change) {
  Tensors tensors = read_tensors(folder / "model.safetensors");
  change(tensors);
  write_tensors(folder / "model.safetensors", tensors);
}

inline void change_config(const std::filesystem::path& folder, const std::function<void(Json&)>& change) {
  Json config = read_json(folder / "config.json");
  change(config);
  write_file(folder / "config.json", to_text(config));
}

// A folder as export writes it, of a model with every number away from zero.
inline model::Weights write_folder(const std::filesystem::path& folder, int64_t alphabet, uint64_t seed = 3) {
  config::ModelConfig model = model::model_of(2, 32, 2, 48);
  model.alphabet = alphabet;
  const model::Weights weights = model::random_weights(model, seed);
  checkpoint::CheckpointInfo info;
  info.config.model = model;
  export_hugging_face(info, weights, folder, alphabet);
  return weights;
}

}  // namespace esmscale::interop
