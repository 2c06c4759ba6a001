#include "cli/verb.h"
#include "esmscale/interop/hugging_face.h"
#include "esmscale/interop/loaded_model.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string input, output;
};

int import_folder(const Program& program, const Options& options) {
  interop::require_new_folder(options.output);
  const checkpoint::Checkpoint checkpoint = interop::import_hugging_face(options.input);
  interop::require_numbers(checkpoint.weights, options.input);
  checkpoint::save_checkpoint(options.output, checkpoint.info, checkpoint.weights);
  const config::ModelConfig& model = checkpoint.weights.config;
  const int64_t parameters = config::total_size(checkpoint.weights.table);
  if (program.json)
    program.print({{"checkpoint", options.output},
                   {"layers", model.layers},
                   {"width", model.width},
                   {"heads", model.heads},
                   {"ffn", model.ffn_dim()},
                   {"tokens", model.alphabet},
                   {"parameters", parameters}});
  else
    program.out << options.output << ": " << model.layers << " layers × " << model.width << " × "
                << model.heads << " heads, " << model.alphabet << " tokens, " << parameters
                << " parameters\n";
  return 0;
}

}  // namespace

void add_import(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "import", "A Hugging Face EsmForMaskedLM folder becomes a checkpoint",
                       "esmscale import esm2_t6_8M_UR50D --output checkpoints/esm2_8M");
  verb->add_option("HF_DIR", options->input, "Folder with config.json, vocab.txt and safetensors")
      ->required();
  verb->add_option("--output", options->output, "The checkpoint's folder; absent or empty")->required();
  verb->callback([&program, options] {
    program.action = [&program, options] { return import_folder(program, *options); };
  });
}

}  // namespace esmscale::cli
