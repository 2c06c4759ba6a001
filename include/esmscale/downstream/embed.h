// Hidden states of proteins as files: one vector a protein, or one a residue.
#pragma once

#include "esmscale/core/enum_names.h"
#include "esmscale/core/json.h"
#include "esmscale/model/engine.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace esmscale::downstream {

enum class EmbeddingType { fp32, fp16, bf16 };  // of the stored numbers
enum class EmbeddingFormat { safetensors, npy };

struct EmbedOptions {
  std::string input;            // FASTA
  std::vector<int64_t> layers;  // 0: the embedding … model.layers: after the final norm; ascending
  bool per_residue = false;     // else the mean over rows
  bool include_ends = false;    // START and END are rows too
  EmbeddingType type = EmbeddingType::fp32;
  EmbeddingFormat format = EmbeddingFormat::safetensors;
  int64_t batch_rows = 4096;  // rows of one forward pass; a longer protein has a pass of its own
  uint64_t shard_bytes = uint64_t{256} << 20;   // a safetensors file is closed at this size
  std::function<void(double done)> progress{};  // proteins
};

// "all", or numbers with commas between; negative ones count from the last layer (-1). Usage error otherwise.
std::vector<int64_t> parse_layers(const std::string& layers, int64_t model_layers);

// Checks the whole input, then writes into `folder`:
//   embed.json   the request (options, model and input), and how many proteins are done
//   index.tsv    row, identifier, residues and file of each protein, in the order of the input
//   safetensors  embeddings-00001.safetensors, …: a tensor IDENTIFIER/layer_N, [D] or [rows, D]
//   npy          layer_N.npy, [proteins, D]; fp32 or fp16
// The same request resumes its folder; another one replaces a folder with `force` only.
// Memory is bounded by a shard and a batch. `request` names the model (its checksum). Returns the proteins.
// Errors: no records, an identifier twice, a protein without residues (its mean is not defined unless
// START and END count), npy per residue or of bf16.
int64_t embed(model::Engine& engine, const model::Weights& weights, Json request, const EmbedOptions& options,
              const std::filesystem::path& folder, bool force);

}  // namespace esmscale::downstream

namespace esmscale {

template <>
struct EnumNames<downstream::EmbeddingType> {
  using enum downstream::EmbeddingType;
  static constexpr std::pair<downstream::EmbeddingType, std::string_view> table[] = {
      {fp32, "fp32"}, {fp16, "fp16"}, {bf16, "bf16"}};
};

template <>
struct EnumNames<downstream::EmbeddingFormat> {
  using enum downstream::EmbeddingFormat;
  static constexpr std::pair<downstream::EmbeddingFormat, std::string_view> table[] = {
      {safetensors, "safetensors"}, {npy, "npy"}};
};

}  // namespace esmscale
