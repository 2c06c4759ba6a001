#include "esmscale/downstream/embed.h"

#include "cli/checks.h"
#include "cli/model_flags.h"
#include "cli/verb.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/text.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string checkpoint, output, layers = "-1", dtype = "fp32", format = "safetensors",
                                  shard_size = "256MiB";
  downstream::EmbedOptions embed;
  bool force = false;
  ModelFlags model;
};

// What decides the values, apart from the input.
Json request_of(const ModelOnDevice& model, const Options& options) {
  return {{"checkpoint", model.path.string()},
          {"weights", checksum_of(model)},
          {"precision", options.model.precision}};
}

// "layer 6", "layers 0, 3, 6".
std::string layers_text(const std::vector<int64_t>& layers) {
  std::vector<std::string> numbers;
  for (const int64_t layer : layers) numbers.push_back(std::to_string(layer));
  return (layers.size() == 1 ? "layer " : "layers ") + join(numbers, ", ");
}

int embed_proteins(const Program& program, Options options) {
  downstream::EmbedOptions& how = options.embed;
  how.type = enum_from_name<downstream::EmbeddingType>(options.dtype, "--dtype");
  how.format = enum_from_name<downstream::EmbeddingFormat>(options.format, "--format");
  how.shard_bytes = static_cast<uint64_t>(parse_size(options.shard_size, "--shard-size"));
  require_no_dataset(options.output);
  const ModelOnDevice model = open_model(program, options.checkpoint, options.model);
  how.layers = downstream::parse_layers(options.layers, model.config().layers);
  how.batch_rows = model.batch_rows;
  Progress progress("embed", 0, "proteins");
  how.progress = [&](double done) { progress.update(done); };
  const int64_t proteins = downstream::embed(*model.engine, *model.weights, request_of(model, options), how,
                                             options.output, options.force);
  progress.finish();
  if (program.json)
    program.print({{"output", options.output},
                   {"checkpoint", model.path.string()},
                   {"proteins", proteins},
                   {"layers", how.layers},
                   {"width", model.config().width},
                   {"dtype", options.dtype},
                   {"format", options.format}});
  else
    program.out << options.output << ": " << proteins << " proteins, " << layers_text(how.layers) << ", "
                << (how.per_residue ? "by residue" : "means over rows") << ", START and END "
                << (how.include_ends ? "included" : "excluded") << "\n";
  return 0;
}

}  // namespace

void add_embed(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(
      app, "embed", "Hidden states of proteins: one vector a protein, or one a residue",
      "esmscale embed --checkpoint runs/8M --input proteins.fasta --output embeddings --layers -1");
  verb->add_option("--checkpoint", options->checkpoint, "Run, checkpoint or Hugging Face folder")->required();
  verb->add_option("--input", options->embed.input, "FASTA: plain, .gz or .zst")->required();
  verb->add_option("--output", options->output, "Folder; the same command resumes in it")->required();
  verb->add_option(
          "--layers", options->layers,
          "all, or numbers with commas between: 0 is the embedding, -1 the last, after the final norm")
      ->capture_default_str();
  verb->add_flag("--per-residue", options->embed.per_residue,
                 "One vector a residue; default: the protein's mean");
  verb->add_flag("--include-ends", options->embed.include_ends,
                 "START and END count as residues; default: they are left out");
  verb->add_option("--dtype", options->dtype, "Stored numbers: fp32, fp16 or bf16")->capture_default_str();
  verb->add_option("--format", options->format, "safetensors (shards), or npy (a matrix a layer, means only)")
      ->capture_default_str();
  verb->add_option("--shard-size", options->shard_size,
                   "Bytes of a shard, such as 256MiB; they stay in memory")
      ->capture_default_str();
  add_force_flag(*verb, options->force);
  add_model_flags(*verb, options->model);
  verb->callback([&program, options] {
    program.action = [&program, options] { return embed_proteins(program, *options); };
  });
}

}  // namespace esmscale::cli
