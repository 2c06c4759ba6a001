// The parameter table's names as transformers' EsmForMaskedLM has them.
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/interop/hugging_face.h"

#include <algorithm>
#include <utility>

namespace esmscale::interop {
namespace {

using Names = std::vector<std::pair<std::string, std::string>>;

const Names kModelNames{{"embedding", "esm.embeddings.word_embeddings"},
                        {"final_norm", "esm.encoder.emb_layer_norm_after"},
                        {"head.dense", "lm_head.dense"},
                        {"head.norm", "lm_head.layer_norm"},
                        {"head", "lm_head"}};
const Names kBlockNames{{"attention_norm", "attention.LayerNorm"}, {"qkv", "attention.self"},
                        {"out", "attention.output.dense"},         {"ffn_norm", "LayerNorm"},
                        {"ffn_in", "intermediate.dense"},          {"ffn_out", "output.dense"}};

std::string look_up(const Names& names, const std::string& layer) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.first == layer; });
  if (found == names.end())
    throw Error(
        {.where = "parameter " + layer, .expected = "a name in Hugging Face's layout", .found = "none"});
  return found->second;
}

}  // namespace

std::vector<HuggingFaceTensor> hugging_face_tensors(const config::Parameter& parameter) {
  const size_t dot = parameter.name.rfind('.');
  const std::string layer = parameter.name.substr(0, dot),
                    what = parameter.name.substr(dot);  // ".weight", ".bias"
  const int64_t rows = parameter.shape[0];
  constexpr std::string_view kBlocks = "blocks.";
  if (!layer.starts_with(kBlocks)) return {{look_up(kModelNames, layer) + what, 0, rows}};

  const size_t after_index = layer.find('.', kBlocks.size());
  const std::string index = layer.substr(kBlocks.size(), after_index - kBlocks.size());
  const std::string name = layer.substr(after_index + 1);
  const std::string key = text("esm.encoder.layer.", index, ".", look_up(kBlockNames, name));
  if (name != "qkv") return {{key + what, 0, rows}};
  const int64_t third = rows / 3;
  return {{key + ".query" + what, 0, third},
          {key + ".key" + what, third, third},
          {key + ".value" + what, 2 * third, third}};
}

}  // namespace esmscale::interop
