#include "interop/other_models.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <functional>
#include <span>

#include <nlohmann/json.hpp>

namespace esmscale::interop {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShown = 3;
constexpr const char* kMerge = "merge it in Python: model.merge_and_unload().save_pretrained(DIR)";

[[noreturn]] void refuse(const fs::path& where, std::string found, std::string advice) {
  throw Error({.where = where.string(),
               .expected = "a Hugging Face folder of EsmForMaskedLM",
               .found = std::move(found),
               .advice = std::move(advice)});
}

// "facebook/esm2_t6_8M_UR50D": two words with one slash, the first of which is no folder here.
bool is_hub_name(const fs::path& path) {
  const std::string name = path.string();
  const size_t slash = name.find('/');
  return slash != name.npos && slash > 0 && slash + 1 < name.size() &&
         name.find('/', slash + 1) == name.npos && name[0] != '.' && name[0] != '~' &&
         !fs::exists(path.parent_path());
}

bool is_pytorch_file(const fs::path& path) {
  const std::string ending = path.extension().string();
  return ending == ".pt" || ending == ".pth" || ending == ".bin" || ending == ".ckpt";
}

bool any_key(const TensorSet& tensors, const std::function<bool(const std::string&)>& holds) {
  const std::vector<std::string> keys = tensors.keys();
  return std::any_of(keys.begin(), keys.end(), holds);
}

}  // namespace

std::string first_of(const std::vector<std::string>& faults) {
  if (faults.size() <= kShown) return join(faults, "; ");
  return text(join(std::span(faults).first(kShown), "; "), "; and ", faults.size() - kShown, " more");
}

void require_model_folder(const fs::path& path) {
  if (fs::is_directory(path)) {
    if (fs::exists(path / "adapter_config.json") && !fs::exists(path / "config.json"))
      refuse(path, "a LoRA adapter, without the model that it changes", kMerge);
    return;
  }
  if (is_pytorch_file(path) && fs::exists(path))
    refuse(path, "a PyTorch file, a Python pickle",
           "the models of fair-esm are on the Hub as safetensors: facebook/NAME");
  if (path.extension() == ".safetensors" && fs::exists(path))
    refuse(path, "its tensors alone", "give the folder, which has config.json too");
  if (fs::exists(path)) refuse(path, "a file", "give the folder");
  if (is_hub_name(path))
    refuse(path, "no such folder, but perhaps a name on the Hugging Face Hub",
           text("download it: hf download ", path.string(), " --local-dir DIR, and give DIR"));
  refuse(path, "no such folder", "look at the path");
}

void require_esm_config(const Json& config, const fs::path& file) {
  if (const auto type = config.find("model_type"); type != config.end() && *type == "nv_esm")
    refuse(file, "NVIDIA's ESM-2 (nv_esm), for TransformerEngine",
           "convert it by convert_esm_te_to_hf of NVIDIA's bionemo-recipes");
  const auto size = config.find("vocab_size");
  if (size == config.end() || !size->is_number_integer()) return;
  if (*size == 64)
    refuse(file, "vocab_size 64, as of NVIDIA's ESM-2 with 31 rows of padding",
           "convert it by convert_esm_te_to_hf of NVIDIA's bionemo-recipes");
  if (*size == 446)
    refuse(file, "vocab_size 446, the structure-aware letters of SaProt", "its letters are not residues");
}

void require_masked_lm(const TensorSet& tensors) {
  const auto begins = [](const char* prefix) {
    return [prefix](const std::string& key) { return key.starts_with(prefix); };
  };
  if (any_key(tensors, [](const std::string& key) { return key.find(".lora_A.") != key.npos; }))
    refuse(tensors.path(), "a model with a LoRA adapter that is not merged", kMerge);
  if (any_key(tensors, begins("lm_head."))) return;
  const char* advice = "no head predicts letters: take the EsmForMaskedLM that it began from";
  if (any_key(tensors, begins("classifier.")))
    refuse(tensors.path(), "a classifier (EsmForSequenceClassification or EsmForTokenClassification)",
           advice);
  if (any_key(tensors, begins("encoder.layer.")) || any_key(tensors, begins("esm.encoder.layer.")))
    refuse(tensors.path(), "a model without a language-model head, saved by EsmModel", advice);
}

}  // namespace esmscale::interop
