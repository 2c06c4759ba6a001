// The readers of the rooms with LibTorch: checkpoints, the folders of Hugging Face, evaluations, and what is
// done with a model.
#include "downstream/embed_state.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/files/files.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/downstream/benchmark.h"
#include "esmscale/downstream/known_contacts.h"
#include "esmscale/eval/groups.h"
#include "esmscale/eval/per_sequence.h"
#include "esmscale/interop/hugging_face.h"
#include "fuzz/reader.h"

#include <nlohmann/json.hpp>

namespace esmscale::fuzz {
namespace {

namespace fs = std::filesystem;

void read_checkpoint(const fs::path& folder) {
  checkpoint::load_checkpoint(folder);
}

void read_hugging_face(const fs::path& folder) {
  interop::import_hugging_face(folder);
}

// The request that a file states, or nothing: a command takes up a file of the same request only.
Json request_in(const fs::path& file) {
  const Json json = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("request") ? json["request"] : Json();
}

void read_embed_state(const fs::path& folder) {
  constexpr int64_t kProteins = 12;
  downstream::EmbedState(folder, request_in(folder / "embed.json"), kProteins).begin(/*force=*/false);
}

// Without assays nothing is scored.
void read_benchmark_results(const fs::path& folder) {
  downstream::score_benchmark(
      {}, {},
      {.output = folder, .request = request_in(folder / "proteingym.json"), .columns = {"esmscale_score"}});
}

// The protein of the seeds.
std::vector<uint8_t> residues() {
  std::vector<uint8_t> codes;
  for (const char letter : std::string_view("KMGTAY")) codes.push_back(data::letter_code(letter));
  return codes;
}

void use_contacts(const downstream::KnownContacts& known) {
  const std::vector<float> map(known.is_contact.size());
  downstream::precision_of(map, known);
  downstream::draw_contacts("protein", map, known.length, &known);
}

// `name`: by its ending it is read as PDB or mmCIF.
auto structure_reader(const std::string& name) {
  return [name](const fs::path& folder) {
    use_contacts(downstream::contacts_of_structure(folder / name, "", residues()));
  };
}

void read_contact_list(const fs::path& folder) {
  const auto length = static_cast<int64_t>(residues().size());
  use_contacts(downstream::read_contact_list(folder / "contacts.txt", length));
}

void read_per_sequence(const fs::path& folder) {
  eval::read_per_sequence(folder / "per_sequence.tsv").loss();
}

void read_groups(const fs::path& folder) {
  eval::read_groups(folder / "groups.tsv", "family", data::Dataset(folder / "holdout"));
}

}  // namespace

std::vector<Reader> readers() {
  return {{"checkpoint", "checkpoint", "checkpoint.json", read_checkpoint, sealed_json},
          {"checkpoint-tensors", "checkpoint", "tensors.safetensors", read_checkpoint},
          {"hugging-face-config", "hugging_face", "config.json", read_hugging_face},
          {"vocabulary", "hugging_face", "vocab.txt", read_hugging_face},
          {"hugging-face-tensors", "hugging_face", "model.safetensors", read_hugging_face},
          {"hugging-face-index", "hugging_face", "model.safetensors.index.json", read_hugging_face},
          {"embeddings", "embeddings", "embed.json", read_embed_state},
          {"proteingym-results", "proteingym_results", "proteingym.json", read_benchmark_results},
          {"pdb", "structure", "protein.pdb", structure_reader("protein.pdb")},
          {"mmcif", "structure", "protein.cif", structure_reader("protein.cif")},
          {"contact-list", "structure", "contacts.txt", read_contact_list},
          {"per-sequence", "per_sequence", "per_sequence.tsv", read_per_sequence},
          {"groups", "groups", "groups.tsv", read_groups}};
}

}  // namespace esmscale::fuzz
