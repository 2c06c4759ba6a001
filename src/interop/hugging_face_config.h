// config.json of an EsmForMaskedLM, both ways.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/json.h"

#include <filesystem>
#include <string>

namespace esmscale::interop {

struct HuggingFaceConfig {
  config::ModelConfig model;    // alphabet is vocab_size
  int64_t max_seq_len = 0;      // rows: max_position_embeddings − 2, as RoBERTa counts positions
  int64_t mask = -1, pad = -1;  // token ids; −1 when not said
  std::string document;         // the whole file
};

// One Error lists every setting that is missing, mistyped or not ESM-2's.
HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& folder);

Json hugging_face_config(const config::RunConfig& config, int64_t alphabet);

}  // namespace esmscale::interop
