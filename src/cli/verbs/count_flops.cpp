// esmscale count-flops: parameters, FLOPs and memory of configurations, from numbers alone.
#include "cli/device_flag.h"
#include "cli/enum_flag.h"
#include "cli/verb.h"
#include "esmscale/accounting/account.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"

#include <algorithm>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::vector<std::string> configs;
  int64_t sequence_length = 1024;
  std::string data, tokens;
  int64_t vocabulary = 0;  // 0: each configuration's own
  int ranks = 1;
  train::DeviceChoice device = train::DeviceChoice::automatic;
};

config::RunConfig read_config(const std::filesystem::path& file, int64_t vocabulary) {
  config::RunConfig config = config::load_config(file);
  config::resolve(config);
  if (config.model.name == config::ModelConfig().name) config.model.name = file.stem();
  if (vocabulary > 0) config.model.alphabet = vocabulary;
  return config;
}

// From the smallest model up.
std::vector<config::RunConfig> presets(int64_t vocabulary) {
  std::vector<config::RunConfig> configs;
  for (const std::filesystem::path& file : config::shipped_configs())
    configs.push_back(read_config(file, vocabulary));
  if (configs.empty())
    throw Error({.where = "count-flops",
                 .expected = "the shipped configurations",
                 .found = "none next to the program",
                 .advice = "name one with --config"});
  std::stable_sort(configs.begin(), configs.end(),
                   [](const config::RunConfig& a, const config::RunConfig& b) {
                     return accounting::count_parameters(a.model).kaplan_non_embedding <
                            accounting::count_parameters(b.model).kaplan_non_embedding;
                   });
  return configs;
}

// Lengths of the sequences that a configuration trains on: those of its part of the data set, or one length
// for all.
class TrainingLengths {
 public:
  explicit TrainingLengths(const Options& options)
      : one_length_(static_cast<double>(options.sequence_length)) {
    if (options.data.empty()) return;
    data_.emplace(options.data);
    if (data_->sequences() == 0)
      throw Error({.where = options.data, .expected = "at least one sequence", .found = "none"});
  }

  accounting::Lengths operator()(const config::RunConfig& config) {
    if (!data_) return accounting::equal_lengths(one_length_);
    const int64_t all = data_->epoch_sequences();
    const int64_t used = config.data.sequences > 0 ? std::min(config.data.sequences, all) : all;
    // Presets share them, and 64 million lengths are worth reading once only.
    const auto [known, is_new] = known_.try_emplace({used, config.data.max_seq_len});
    if (is_new)
      known->second = accounting::real_lengths(data::epoch_lengths(*data_, used), config.data.max_seq_len);
    return known->second;
  }

 private:
  double one_length_;
  std::optional<data::Dataset> data_;
  std::map<std::pair<int64_t, int64_t>, accounting::Lengths> known_;
};

// D when it is not asked for: what the configuration and the data say; 0 when neither does.
double planned_tokens(const config::RunConfig& config, const accounting::Lengths& lengths,
                      bool lengths_are_real) {
  const auto most = static_cast<double>(config.train.max_tokens);
  if (!lengths_are_real) return most;
  const double all_epochs = lengths.tokens * static_cast<double>(config.train.epochs);
  return most > 0 ? std::min(most, all_epochs) : all_epochs;
}

int count_flops(const Program& program, const Options& options) {
  std::optional<double> tokens;
  if (!options.tokens.empty()) tokens = static_cast<double>(parse_size(options.tokens, "--tokens"));
  std::vector<config::RunConfig> configs;
  for (const std::string& file : options.configs) configs.push_back(read_config(file, options.vocabulary));
  if (options.configs.empty()) configs = presets(options.vocabulary);
  TrainingLengths lengths_of(options);

  std::vector<accounting::Account> accounts;
  for (config::RunConfig& config : configs) {
    const config::DeviceKind device = planned_device(config, options.device);
    config.train.precision = config::precision_on(config.train.precision, device, /*has_bf16=*/true);
    const accounting::Lengths lengths = lengths_of(config);
    const double D = tokens ? *tokens : planned_tokens(config, lengths, !options.data.empty());
    accounts.push_back(accounting::account_for(config, lengths, D, options.ranks, device));
  }
  if (program.json) {
    Json models = Json::array();
    for (const accounting::Account& account : accounts) models.push_back(accounting::to_json(account));
    program.print({{"models", models}});
  } else if (options.configs.empty()) {
    program.out << accounting::accounts_table(accounts);
  } else {
    for (const accounting::Account& account : accounts)
      program.out << (&account == &accounts.front() ? "" : "\n") << accounting::account_text(account);
  }
  return 0;
}

}  // namespace

void add_count_flops(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(app, "count-flops",
                                    "Parameters, FLOPs and memory of configurations, or of all presets",
                                    "esmscale count-flops --config esm2_35M.json --tokens 20G");
  verb->add_option("--config", options->configs, "Configurations; without it all shipped ones");
  CLI::Option* length = verb->add_option("--sequence-length", options->sequence_length,
                                         "Rows of a sequence, START and END included")
                            ->check(CLI::Range(1, 1 << 24))
                            ->capture_default_str();
  verb->add_option("--data", options->data, "Prepared data set: its real lengths, cropped as configured")
      ->excludes(length);
  verb->add_option("--tokens", options->tokens,
                   "D of the run (SIZE); without it train.max_tokens, or the data's tokens");
  verb->add_option("--vocabulary", options->vocabulary, "Tokens in place of the configuration's")
      ->check(CLI::Range(1, 1 << 24));
  verb->add_option("--ranks", options->ranks, "Ranks that memory is predicted for")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  add_enum_flag(
      *verb, "--device", options->device,
      "Device that memory is predicted for: cpu or cuda; auto: a GPU for tf32, bf16 and fp8, else a CPU");
  verb->callback([&program, options] {
    program.action = [&program, options] { return count_flops(program, *options); };
  });
}

}  // namespace esmscale::cli
