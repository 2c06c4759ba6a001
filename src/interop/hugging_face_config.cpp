#include "interop/hugging_face_config.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <nlohmann/json.hpp>

namespace esmscale::interop {
namespace {

constexpr double kNormEps = 1e-5;
// RoBERTa counts positions from pad_token_id + 1 = 2.
constexpr int64_t kFirstPosition = 2;

// Settings that decide what is computed. `fallback` is what transformers takes when the key is absent.
struct Demand {
  const char* key;
  Json wanted, fallback;
};

const std::vector<Demand>& demands() {
  static const std::vector<Demand> all{
      {"model_type", "esm", nullptr},      {"position_embedding_type", "rotary", "absolute"},
      {"hidden_act", "gelu", "gelu"},      {"emb_layer_norm_before", false, false},
      {"layer_norm_eps", kNormEps, 1e-12}, {"is_folding_model", false, false},
      {"is_decoder", false, false},        {"add_cross_attention", false, false},
      {"rope_theta", 10000.0, 10000.0}};
  return all;
}

class SettingsReader {
 public:
  SettingsReader(const Json& document, std::vector<std::string>& faults)
      : document_(document), faults_(faults) {}

  int64_t number(const char* key, int64_t low, int64_t high) {
    const auto value = document_.find(key);
    if (value != document_.end() && value->is_number_integer()) {
      const auto found = value->get<int64_t>();
      if (low <= found && found <= high) return found;
    }
    faults_.push_back(text(key, " is ", value == document_.end() ? "absent" : to_text(*value),
                           ", not a whole number from ", low, " to ", high));
    return low;
  }

  int64_t number(const char* key, int64_t low, int64_t high, int64_t fallback) {
    return is_absent(key) ? fallback : number(key, low, high);
  }

  bool flag(const char* key) {
    if (is_absent(key)) return false;
    if (document_[key].is_boolean()) return document_[key].get<bool>();
    faults_.push_back(text(key, " is ", to_text(document_[key]), ", not true or false"));
    return false;
  }

  void require(const Demand& demand) {
    const Json found = is_absent(demand.key) ? demand.fallback : document_[demand.key];
    if (found != demand.wanted)
      faults_.push_back(text(demand.key, " is ", to_text(found), ", not ", to_text(demand.wanted)));
  }

 private:
  bool is_absent(const char* key) const { return !document_.contains(key) || document_[key].is_null(); }

  const Json& document_;
  std::vector<std::string>& faults_;
};

}  // namespace

HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "config.json";
  HuggingFaceConfig config;
  config.document = read_file(file);
  const Json document = parse_json(config.document, file.string());
  if (!document.is_object())
    throw Error({.where = file.string(), .expected = "a JSON object", .found = document.type_name()});

  std::vector<std::string> faults;
  SettingsReader settings(document, faults);
  for (const Demand& demand : demands()) settings.require(demand);
  config::ModelConfig& model = config.model;
  model.layers = settings.number("num_hidden_layers", 1, 1000);
  model.width = settings.number("hidden_size", 4, 65536);
  model.heads = settings.number("num_attention_heads", 1, 4096);
  model.ffn = settings.number("intermediate_size", 1, 1 << 20);
  model.alphabet = settings.number("vocab_size", 1, 1 << 20);
  model.token_dropout = settings.flag("token_dropout");
  constexpr int64_t kLongest = 1 << 20, kOfficial = 1026;
  config.max_seq_len = settings.number("max_position_embeddings", 10, kLongest, kOfficial) - kFirstPosition;
  config.mask = settings.number("mask_token_id", 0, 1 << 20, -1);
  config.pad = settings.number("pad_token_id", 0, 1 << 20, -1);
  if (model.width % model.heads != 0 || model.head_dim() % 2 != 0)
    faults.push_back(text("hidden_size ", model.width, " over num_attention_heads ", model.heads,
                          " is not an even number"));
  if (!faults.empty())
    throw Error({.where = file.string(),
                 .expected = "the configuration of an ESM-2 (EsmForMaskedLM)",
                 .found = join(faults, "; "),
                 .advice = "esmscale computes ESM-2 and nothing else"});
  return config;
}

Json hugging_face_config(const config::RunConfig& config, int64_t alphabet) {
  const config::ModelConfig& model = config.model;
  const data::TokenList& tokens = data::TokenList::of(alphabet);
  return {{"architectures", {"EsmForMaskedLM"}},
          {"attention_probs_dropout_prob", 0.0},
          {"emb_layer_norm_before", false},
          {"esmfold_config", nullptr},
          {"hidden_act", "gelu"},
          {"hidden_dropout_prob", 0.0},
          {"hidden_size", model.width},
          {"initializer_range", 0.02},
          {"intermediate_size", model.ffn_dim()},
          {"is_folding_model", false},
          {"layer_norm_eps", kNormEps},
          {"mask_token_id", tokens.mask()},
          {"max_position_embeddings", config.data.max_seq_len + kFirstPosition},
          {"model_type", "esm"},
          {"num_attention_heads", model.heads},
          {"num_hidden_layers", model.layers},
          {"pad_token_id", tokens.pad()},
          {"position_embedding_type", "rotary"},
          {"token_dropout", model.token_dropout},
          {"torch_dtype", "float32"},
          {"use_cache", true},
          {"vocab_list", nullptr},
          {"vocab_size", alphabet}};
}

}  // namespace esmscale::interop
