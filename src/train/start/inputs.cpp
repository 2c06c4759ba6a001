#include "train/start/inputs.h"

#include "esmscale/core/error.h"
#include "esmscale/core/json.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/report.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/train/plan.h"
#include "train/scores/assays.h"

#include <algorithm>

#include <nlohmann/json.hpp>

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

// The weights were trained with the model's value: another one shows them embeddings of another scale.
template <class T>
void adopt_value(const std::string& key, const T& of_model, T& asked, std::span<const std::string> given_keys,
                 const std::filesystem::path& from) {
  if (of_model == asked) return;
  const auto shown = [](const T& value) { return esmscale::to_text(Json(value)); };
  if (std::find(given_keys.begin(), given_keys.end(), key) != given_keys.end())
    throw usage_error({.where = "--init-from " + from.string(),
                       .expected = text("the model's ", key, " = ", shown(of_model)),
                       .found = text(key, " = ", shown(asked), " in the configuration"),
                       .advice = text("give --set ", key, "=", shown(of_model))});
  log_info(key, " = ", shown(of_model), ", as the model that training begins with has it");
  asked = of_model;
}

}  // namespace

RunInputs open_inputs(const config::RunConfig& config, std::vector<std::string>& warnings) {
  data::Dataset train(training_folder(config));
  std::optional<data::Dataset> holdout = open_holdout(config, train, warnings);
  return {.train = std::move(train),
          .holdout = std::move(holdout),
          .assays = read_assays(config.eval.assays, config.data.max_seq_len, warnings)};
}

void adopt_model(config::RunConfig& config, std::span<const std::string> given_keys,
                 const std::filesystem::path& from, std::vector<std::string>& warnings) {
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
  adopt_value("model.token_dropout", model.token_dropout, config.model.token_dropout, given_keys, from);
  if (model.token_dropout)
    adopt_value("model.token_dropout_rate", model.token_dropout_rate, config.model.token_dropout_rate,
                given_keys, from);
  adopt_value("model.layer_norm_eps", model.layer_norm_eps, config.model.layer_norm_eps, given_keys, from);
  if (other.masking.mlm_probability != config.masking.mlm_probability)
    warnings.push_back(text("the model that training begins with was trained at masking.mlm_probability = ",
                            other.masking.mlm_probability, ", this run masks ",
                            config.masking.mlm_probability));
}

}  // namespace esmscale::train
