#include "cli/model_flags.h"
#include "cli/verb.h"
#include "esmscale/interop/hugging_face.h"
#include "esmscale/interop/loaded_model.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string checkpoint, output;
  optim::WeightSet weights = optim::WeightSet::trained;
  int64_t alphabet = 33;
};

int export_folder(const Program& program, const Options& options) {
  const interop::LoadedModel model = interop::load_model(options.checkpoint, options.weights);
  interop::export_hugging_face(model.info, model.weights, options.output, options.alphabet);
  if (program.json)
    program.print({{"folder", options.output},
                   {"checkpoint", model.path.string()},
                   {"weights", enum_name(options.weights)},
                   {"step", model.info.step},
                   {"tokens", options.alphabet}});
  else
    program.out << options.output << ": " << model.path.string() << " with " << options.alphabet
                << " tokens\n";
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "export", "A checkpoint becomes a Hugging Face EsmForMaskedLM folder",
                       "esmscale export runs/8M --output esm2_mine");
  verb->add_option("CKPT", options->checkpoint, "Run (its newest checkpoint) or checkpoint")->required();
  verb->add_option("--output", options->output, "The new folder; absent or empty")->required();
  add_weights_flag(*verb, options->weights);
  verb->add_option(
          "--alphabet", options->alphabet,
          "33: the official tokens, those that the model lacks with a probability of 0; 29: as it is")
      ->check(CLI::IsMember({29, 33}))
      ->capture_default_str();
  verb->callback([&program, options] {
    program.action = [&program, options] { return export_folder(program, *options); };
  });
}

}  // namespace esmscale::cli
