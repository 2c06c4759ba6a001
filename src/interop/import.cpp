#include "esmscale/core/error.h"
#include "esmscale/core/files/file_kind.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/violations.h"
#include "esmscale/interop/hugging_face.h"
#include "interop/hugging_face_config.h"
#include "interop/origin.h"
#include "interop/other_models.h"
#include "interop/tensor_set.h"
#include "interop/vocabulary.h"

#include <set>

#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <nlohmann/json.hpp>

namespace esmscale::interop {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDecoder = "lm_head.decoder.weight";
constexpr const char* kEmbedding = "esm.embeddings.word_embeddings.weight";
constexpr std::string_view kInvFreq = "rotary_embeddings.inv_freq";

// Tensors that take no part in ESM-2's forward pass, although their names begin as those that do.
const std::set<std::string> kIgnoredTensors{"esm.embeddings.position_embeddings.weight",
                                            "esm.embeddings.position_ids"};

std::string shape_text(at::IntArrayRef shape) {
  return text(shape);
}

// transformers 5 stores some norms under the names of TensorFlow.
std::string old_name(const std::string& key) {
  for (const auto& [name, old] :
       {std::pair{".LayerNorm.weight", ".LayerNorm.gamma"}, {".LayerNorm.bias", ".LayerNorm.beta"}})
    if (key.ends_with(name)) return key.substr(0, key.size() - std::string_view(name).size()) + old;
  return key;
}

// Looks the tensors over before anything is read into place, and gathers what is wrong.
class FolderReader {
 public:
  FolderReader(const TensorSet& tensors, const config::ModelConfig& model)
      : tensors_(tensors), model_(model), table_(config::parameter_table(model)) {}

  void check() {
    require_masked_lm(tensors_);
    for (const config::Parameter& parameter : table_)
      for (const HuggingFaceTensor& tensor : hugging_face_tensors(parameter)) {
        std::vector<int64_t> shape = parameter.shape;
        shape[0] = tensor.rows;
        expect(stored_name(tensor.key), shape);
      }
    check_decoder();
    check_inv_freq();
    if (tensors_.find(kContactWeight)) expect(kContactWeight, {1, model_.layers * model_.heads});
    if (tensors_.find(kContactBias)) expect(kContactBias, {1});
    check_unknown();
    if (!faults_.empty())
      throw Error({.where = tensors_.path().string(),
                   .expected = "the tensors of an EsmForMaskedLM of config.json's shape",
                   .found = first_of(faults_.all()),
                   .advice = "is config.json the one of these weights?"});
  }

  // rows: for each token of ours its row in the folder's embedding.
  model::Weights weights(const std::vector<int64_t>& rows) const {
    model::Weights weights = model::make_weights(model_, at::kCPU);
    for (size_t p = 0; p < table_.size(); ++p)
      for (const HuggingFaceTensor& tensor : hugging_face_tensors(table_[p]))
        weights.all[p].narrow(0, tensor.first_row, tensor.rows).copy_(tensors_.read(stored_name(tensor.key)));
    const at::Tensor index =
        at::from_blob(const_cast<int64_t*>(rows.data()), {static_cast<int64_t>(rows.size())}, at::kLong);
    weights.embedding_VD.copy_(at::index_select(weights.embedding_VD, 0, index));
    weights.head_bias_V.copy_(at::index_select(weights.head_bias_V, 0, index));
    if (const auto keys = inv_freq_keys(); !keys.empty()) weights.inv_freq.copy_(tensors_.read(keys.front()));
    return weights;
  }

  ContactHead contact_head() const {
    ContactHead head;
    if (!tensors_.find(kContactWeight) || !tensors_.find(kContactBias)) return head;
    const at::Tensor weight = tensors_.read(kContactWeight), bias = tensors_.read(kContactBias);
    head.weight.assign(weight.data_ptr<float>(), weight.data_ptr<float>() + weight.numel());
    head.bias = bias.item<float>();
    return head;
  }

 private:
  std::string stored_name(const std::string& key) const {
    return !tensors_.find(key) && tensors_.find(old_name(key)) ? old_name(key) : key;
  }

  bool expect(const std::string& key, const std::vector<int64_t>& shape) {
    known_.insert(key);
    const TensorEntry* entry = tensors_.find(key);
    if (!entry)
      faults_.add(key + " is missing");
    else if (entry->shape != shape)
      faults_.add(text(key, " is ", shape_text(entry->shape), ", not ", shape_text(shape)));
    else if (!TensorSet::is_readable(*entry))
      faults_.add(text(key, " is ", entry->dtype, ", not F32, F16 or BF16"));
    else
      return true;
    return false;
  }

  // The decoder is tied: files leave it out, or hold the embedding again.
  void check_decoder() {
    if (!tensors_.find(kDecoder) || !expect(kDecoder, {model_.alphabet, model_.width})) return;
    const TensorEntry* embedding = tensors_.find(kEmbedding);
    if (embedding && TensorSet::is_readable(*embedding) &&
        !tensors_.read(kDecoder).equal(tensors_.read(kEmbedding)))
      faults_.add(text(kDecoder, " differs from the embedding, to which ESM-2 ties it"));
  }

  std::vector<std::string> inv_freq_keys() const {
    std::vector<std::string> keys;
    for (const std::string& key : tensors_.keys())
      if (key.ends_with(kInvFreq)) keys.push_back(key);
    return keys;
  }

  // In every layer, or once for all of them (transformers 5), or not at all.
  void check_inv_freq() {
    const std::vector<std::string> keys = inv_freq_keys();
    if (keys.size() > 1)
      for (int64_t i = 0; i < model_.layers; ++i)
        expect(text("esm.encoder.layer.", i, ".attention.self.", kInvFreq), {model_.head_dim() / 2});
    at::Tensor first;
    for (const std::string& key : keys) {
      const TensorEntry* entry = tensors_.find(key);
      if (known_.count(key) == 0 && !expect(key, {model_.head_dim() / 2})) continue;
      if (!TensorSet::is_readable(*entry)) continue;
      if (!first.defined()) first = tensors_.read(key);
      if (!first.equal(tensors_.read(key))) faults_.add(key + " differs from " + keys.front());
    }
  }

  // A tensor of the encoder or head that we would not use means another architecture; others only ride along.
  void check_unknown() {
    std::vector<std::string> others;
    for (const std::string& key : tensors_.keys()) {
      if (known_.count(key) || kIgnoredTensors.count(key)) continue;
      const bool is_used = key.starts_with("esm.encoder.") || key.starts_with("esm.embeddings.") ||
                           key.starts_with("lm_head.");
      if (is_used)
        faults_.add(key + " is not a part of this ESM-2");
      else
        others.push_back(key);
    }
    if (!others.empty()) log_warning(tensors_.path().string(), ": not read: ", first_of(others));
  }

  const TensorSet& tensors_;
  const config::ModelConfig& model_;
  std::vector<config::Parameter> table_;
  std::set<std::string> known_;
  Violations faults_;
};

// A configuration that trains on from here must hold together, whatever the length of the crop.
void fit_batches_to(config::RunConfig& config) {
  config.train.pack_tokens = 2 * config.data.max_seq_len;
  config.train.batch_tokens =
      std::max<int64_t>(1, config.train.batch_tokens / config.train.pack_tokens) * config.train.pack_tokens;
}

checkpoint::CheckpointInfo info_of(const fs::path& folder, const HuggingFaceConfig& config,
                                   const ContactHead& head) {
  checkpoint::CheckpointInfo info;
  info.config.model = config.model;
  info.config.model.name =
      fs::absolute(folder / "config.json").parent_path().lexically_normal().filename().string();
  info.config.data.max_seq_len = config.max_seq_len;
  fit_batches_to(info.config);
  info.parent = folder.string();
  info.origin = origin_of(config.document, head);
  return info;
}

}  // namespace

bool is_hugging_face_folder(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  if (!fs::is_regular_file(file)) return false;
  const std::string content = read_file(file);
  if (recognise_file(content)) return true;  // import names what it is
  const Json document = parse_json(content, file.string());
  return document.is_object() && document.contains("model_type");
}

checkpoint::CheckpointInfo read_hugging_face_info(const fs::path& folder) {
  const HuggingFaceConfig config = read_hugging_face_config(folder);
  read_vocabulary(folder, config);
  return info_of(folder, config, {});
}

checkpoint::Checkpoint import_hugging_face(const fs::path& folder) {
  const HuggingFaceConfig config = read_hugging_face_config(folder);
  const std::vector<int64_t> rows = read_vocabulary(folder, config);
  const TensorSet tensors(folder);
  FolderReader reader(tensors, config.model);
  reader.check();
  return {{.info = info_of(folder, config, reader.contact_head())}, reader.weights(rows)};
}

}  // namespace esmscale::interop
