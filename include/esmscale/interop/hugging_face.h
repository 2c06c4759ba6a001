// EsmForMaskedLM folders of Hugging Face's transformers, both ways (science.md, section 2): config.json,
// vocab.txt, model.safetensors or its shards.
#pragma once

#include "esmscale/checkpoint/checkpoint.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace esmscale::interop {

// config.json with a model_type is there.
bool is_hugging_face_folder(const std::filesystem::path& folder);

// Any size; F32, F16 or BF16; the 33 official tokens or the paper's 29, in any order: rows go by token name.
// Weights become fp32. inv_freq is taken from the file when it is there. What the model does not use but an
// export must give back (the contact head) goes into info.origin. Tensors without a part in ESM-2's
// forward pass are ignored, and so are the prefixes of torch.compile and DataParallel in tensors' names.
// Errors: another kind of model, which is named; a configuration that is not ESM-2's, with all that is
// wrong; tokens that are not known; missing, unknown, oddly shaped or contradicting tensors, the first three.
checkpoint::Checkpoint import_hugging_face(const std::filesystem::path& folder);
checkpoint::CheckpointInfo read_hugging_face_info(const std::filesystem::path& folder);  // reads no weights

// Writes a folder that EsmForMaskedLM.from_pretrained and EsmTokenizer.from_pretrained load offline. 33
// tokens from a model of 29: the four absent ones get a zero embedding and a bias of −10⁴, so that a softmax
// over 33 equals that over 29. 29 from 33 would be another model: a usage error. `folder` must be absent or
// empty; it appears whole.
void export_hugging_face(const checkpoint::CheckpointInfo& info, const model::Weights& weights,
                         const std::filesystem::path& folder, int64_t alphabet);

// Error unless `folder` is absent or empty: nothing is overwritten by import or export.
void require_new_folder(const std::filesystem::path& folder);

// Rows of a table row under their name there: a fused qkv is their query, key and value.
struct HuggingFaceTensor {
  std::string key;
  int64_t first_row = 0, rows = 0;
};
std::vector<HuggingFaceTensor> hugging_face_tensors(const config::Parameter& parameter);

}  // namespace esmscale::interop
