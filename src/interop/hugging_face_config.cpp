#include "interop/hugging_face_config.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/file_kind.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"
#include "esmscale/data/alphabet.h"
#include "interop/other_models.h"

#include <nlohmann/json.hpp>

namespace esmscale::interop {
namespace {

// RoBERTa counts positions from pad_token_id + 1 = 2.
constexpr int64_t kFirstPosition = 2;
constexpr int64_t kOfficialPositions = 1026;
constexpr double kTheirLayerNormEps = 1e-12;  // where the key is absent; ESM-2 has 1e-5
constexpr int64_t kShortest = 8;              // rows of the shortest crop

// Settings that decide what is computed. `fallback` is what transformers takes when the key is absent.
struct Demand {
  const char* key;
  Json wanted, fallback;
};

const std::vector<Demand>& demands() {
  static const std::vector<Demand> all{
      {"model_type", "esm", nullptr},        {"position_embedding_type", "rotary", "absolute"},
      {"hidden_act", "gelu", "gelu"},        {"emb_layer_norm_before", false, false},
      {"is_folding_model", false, false},    {"is_decoder", false, false},
      {"add_cross_attention", false, false}, {"rope_theta", 10000.0, 10000.0}};
  return all;
}

void require(const JsonReader& settings, const Demand& demand) {
  if (const Json found = settings.has(demand.key) ? settings.at(demand.key).json() : demand.fallback;
      found != demand.wanted)
    throw Error({.where = demand.key, .expected = to_text(demand.wanted), .found = to_text(found)});
}

}  // namespace

HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "config.json";
  HuggingFaceConfig config;
  require_model_folder(folder);
  config.document = read_file(file);
  if (const auto kind = recognise_file(config.document))
    throw Error({.where = file.string(),
                 .expected = "the configuration of an ESM-2",
                 .found = kind->name,
                 .advice = kind->advice});
  const Json document = parse_json(config.document, file.string());
  if (!document.is_object()) JsonReader(document, file.string()).fail("a JSON object");
  require_esm_config(document, file);
  const JsonReader settings(document, "");  // faults are listed after the file's name

  Violations faults;
  for (const Demand& demand : demands()) faults.collect([&] { require(settings, demand); });
  config::ModelConfig& model = config.model;
  faults.collect([&] { model.layers = settings.integer("num_hidden_layers", 1, 1000); });
  faults.collect([&] { model.width = settings.integer("hidden_size", 4, 65536); });
  faults.collect([&] { model.heads = settings.integer("num_attention_heads", 1, 4096); });
  faults.collect([&] { model.ffn = settings.integer("intermediate_size", 1, 1 << 20); });
  faults.collect([&] { model.alphabet = settings.integer("vocab_size", 1, 1 << 20); });
  faults.collect([&] { model.layer_norm_eps = settings.number_or("layer_norm_eps", kTheirLayerNormEps); });
  faults.require(model.layer_norm_eps > 0,
                 text("layer_norm_eps: expected a number above 0, found ", model.layer_norm_eps));
  faults.collect([&] { model.token_dropout = settings.boolean_or("token_dropout", false); });
  faults.collect([&] {
    config.max_seq_len = settings.integer_or("max_position_embeddings", kOfficialPositions,
                                             kFirstPosition + kShortest, 1 << 20) -
                         kFirstPosition;
  });
  faults.collect([&] { config.mask = settings.integer_or("mask_token_id", -1, 0, 1 << 20); });
  faults.collect([&] { config.pad = settings.integer_or("pad_token_id", -1, 0, 1 << 20); });
  faults.require(
      model.width % model.heads == 0 && model.head_dim() % 2 == 0,
      text("hidden_size ", model.width, " over num_attention_heads ", model.heads, " is not an even number"));
  faults.refuse({.where = file.string(),
                 .expected = "the configuration of an ESM-2 (EsmForMaskedLM)",
                 .found = "",
                 .advice = "esmscale computes ESM-2 and nothing else"},
                Error::Kind::failure);
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
          {"layer_norm_eps", model.layer_norm_eps},
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
