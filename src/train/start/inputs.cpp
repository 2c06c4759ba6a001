#include "train/start/inputs.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/report.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/train/plan.h"

namespace esmscale::train {
namespace {

std::filesystem::path training_folder(const config::RunConfig& config) {
  if (!config.data.train.empty()) return config.data.train;
  throw usage_error({.where = "data.train",
                     .expected = "the folder of a prepared data set",
                     .found = "none",
                     .advice = "give --data DIR, or make one with `esmscale prepare`"});
}

std::optional<data::Dataset> open_holdout(const config::RunConfig& config, const data::Dataset& train,
                                          std::vector<std::string>& warnings) {
  if (config.data.holdout.empty()) return std::nullopt;
  data::Dataset holdout(config.data.holdout);
  if (const data::Overlap overlap = data::find_overlap(holdout, train, sequences_used(config, train));
      overlap.count > 0)
    throw Error({.where = config.data.holdout,
                 .expected = "no sequence of the training set " + config.data.train,
                 .found = text(overlap.count, " of its ", holdout.sequences(), " sequences there too (",
                               join(overlap.examples, ", "), ")"),
                 .advice = "prepare with --deduplicate and --holdout, or --exclude them"});
  if (const int64_t rows = eval::longest_window(holdout); rows > config.data.max_seq_len)
    warnings.push_back(text("the holdout is scored on windows of up to ", rows,
                            " rows, and data.max_seq_len is ", config.data.max_seq_len,
                            "; prepare it with a smaller --eval-length to score what is trained"));
  return holdout;
}

}  // namespace

RunInputs open_inputs(const config::RunConfig& config, std::vector<std::string>& warnings) {
  data::Dataset train(training_folder(config));
  std::optional<data::Dataset> holdout = open_holdout(config, train, warnings);
  return {.train = std::move(train), .holdout = std::move(holdout)};
}

void adopt_model(config::RunConfig& config, const std::filesystem::path& from,
                 std::vector<std::string>& warnings) {
  const config::RunConfig other = interop::load_model_info(from).config;
  const config::ModelConfig &model = other.model, &asked = config.model;
  if (model.layers != asked.layers || model.width != asked.width || model.heads != asked.heads ||
      model.ffn_dim() != asked.ffn_dim())
    throw usage_error({.where = "--init-from " + from.string(),
                       .expected = text("the configuration's shape, ", asked.layers, " × ", asked.width,
                                        " × ", asked.heads),
                       .found = text(model.layers, " × ", model.width, " × ", model.heads),
                       .advice = "set model.layers, model.width, model.heads and model.ffn to the model's"});
  if (model.alphabet != asked.alphabet) {
    warnings.push_back(text("the model that training begins with has ", model.alphabet,
                            " tokens; model.alphabet follows it"));
    config.model.alphabet = model.alphabet;
  }
  if (other.masking.mlm_probability != config.masking.mlm_probability)
    warnings.push_back(text("the model that training begins with was trained at masking.mlm_probability = ",
                            other.masking.mlm_probability, ", this run masks ",
                            config.masking.mlm_probability));
}

}  // namespace esmscale::train
