#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/interop/hugging_face.h"
#include "interop/hugging_face_config.h"
#include "interop/origin.h"
#include "interop/vocabulary.h"

#include <cmath>

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <nlohmann/json.hpp>

namespace esmscale::interop {
namespace {

namespace fs = std::filesystem;

// e^(−10⁴) is 0 in fp32, and 10⁴ is still exact in fp16.
constexpr float kAbsentBias = -1e4f;

struct NamedTensor {
  std::string key;
  at::Tensor values;  // fp32, contiguous, on the CPU
};

// Rows of our tokens under the wanted list's order; absent tokens get `filler`.
at::Tensor by_token(const at::Tensor& rows, const data::TokenList& ours, const data::TokenList& wanted,
                    float filler) {
  std::vector<int64_t> shape = rows.sizes().vec();
  shape[0] = wanted.size();
  const at::Tensor result = at::zeros(shape, at::kFloat).fill_(filler);
  for (int64_t v = 0; v < ours.size(); ++v)
    result[wanted.id(ours.names()[static_cast<size_t>(v)])].copy_(rows[v]);
  return result;
}

std::vector<NamedTensor> tensors_of(const checkpoint::CheckpointInfo& info, const model::Weights& weights,
                                    int64_t alphabet) {
  const data::TokenList &ours = data::TokenList::of(weights.config.alphabet),
                        &wanted = data::TokenList::of(alphabet);
  std::vector<NamedTensor> tensors;
  for (size_t p = 0; p < weights.table.size(); ++p) {
    at::Tensor values = weights.all[p].cpu();
    if (weights.table[p].name == "embedding.weight") values = by_token(values, ours, wanted, 0);
    if (weights.table[p].name == "head.bias") values = by_token(values, ours, wanted, kAbsentBias);
    config::Parameter parameter = weights.table[p];
    parameter.shape = values.sizes().vec();
    for (const HuggingFaceTensor& tensor : hugging_face_tensors(parameter))
      tensors.push_back({tensor.key, values.narrow(0, tensor.first_row, tensor.rows)});
  }
  for (int64_t i = 0; i < weights.config.layers; ++i)
    tensors.push_back({text("esm.encoder.layer.", i, ".attention.self.rotary_embeddings.inv_freq"),
                       weights.inv_freq.cpu()});

  ContactHead head = contact_head_of(info.origin, weights.config.layers * weights.config.heads);
  const auto size = static_cast<int64_t>(head.weight.size());
  tensors.push_back({kContactWeight, at::from_blob(head.weight.data(), {1, size}, at::kFloat).clone()});
  tensors.push_back({kContactBias, at::zeros({1}, at::kFloat).fill_(head.bias)});
  return tensors;
}

void write_tensors(const fs::path& file, const std::vector<NamedTensor>& tensors) {
  std::vector<TensorEntry> entries;
  for (const NamedTensor& tensor : tensors)
    entries.push_back({.name = tensor.key, .dtype = "F32", .shape = tensor.values.sizes().vec()});
  const std::string header = safetensors_header(entries, {{"format", "pt"}});
  require_free_space(file, header.size() + entries.back().end);
  OutputFile out(file);
  out.write(header);
  for (const NamedTensor& tensor : tensors)
    out.write({static_cast<const std::byte*>(tensor.values.const_data_ptr()), tensor.values.nbytes()});
  out.close();
}

void check_alphabet(int64_t ours, int64_t alphabet) {
  if (alphabet == 29 && ours == 33)
    throw usage_error({.where = "--alphabet 29",
                       .expected = "33 for a model of 33 tokens",
                       .found = "a softmax over 29, which is another model",
                       .advice = "leave --alphabet out"});
}

// transformers writes ESM-2's own 0.15 · 0.8 into its code instead of reading it from the configuration.
void warn_about_token_dropout(const config::RunConfig& config) {
  if (!config.model.token_dropout || config.model.token_dropout_rate == 0.15) return;
  log_warning("the model was trained with model.token_dropout_rate = ", config.model.token_dropout_rate,
              "; transformers scales embeddings as for 0.15, so its logits will differ");
}

}  // namespace

void require_new_folder(const fs::path& folder) {
  if (fs::exists(folder) && !(fs::is_directory(folder) && fs::is_empty(folder)))
    throw Error({.where = folder.string(),
                 .expected = "an absent or empty folder",
                 .found = "something there already",
                 .advice = "choose another --output or remove it"});
}

void export_hugging_face(const checkpoint::CheckpointInfo& info, const model::Weights& weights,
                         const fs::path& folder, int64_t alphabet) {
  check_alphabet(weights.config.alphabet, alphabet);
  require_new_folder(folder);
  warn_about_token_dropout(info.config);
  config::RunConfig config = info.config;
  config.model = weights.config;

  AtomicOutput output(folder);
  make_own_folder(output.path());
  write_tensors(output.path() / "model.safetensors", tensors_of(info, weights, alphabet));
  write_tokenizer(output.path(), data::TokenList::of(alphabet));
  write_file(output.path() / "config.json", to_text(hugging_face_config(config, alphabet), 2) + "\n");
  output.publish();
}

}  // namespace esmscale::interop
