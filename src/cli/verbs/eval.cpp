#include "cli/checks.h"
#include "cli/model_flags.h"
#include "cli/verb.h"
#include "cli/verbs/eval_groups.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/groups.h"
#include "esmscale/eval/per_sequence.h"
#include "esmscale/eval/report.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/train/device.h"
#include "esmscale/train/process_setup.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::vector<std::string> checkpoints, weights;
  std::optional<std::string> holdout;
  std::string device = "auto", pattern, per_sequence, groups, group_column = "group";
  double mlm_probability = 0.15;
  int64_t max_sequences = 0, draws = 1;
  bool allow_longer = false;
};

struct Scored {
  std::string weights;
  interop::LoadedModel model;
  eval::Evaluation evaluation;
  eval::EvaluationReport report;
};

std::filesystem::path holdout_folder(const Options& options, const interop::LoadedModel& model) {
  if (options.holdout && !options.holdout->empty()) return *options.holdout;
  if (!model.info.config.data.holdout.empty()) return model.info.config.data.holdout;
  throw usage_error({.where = "--holdout",
                     .expected = "a holdout, or a run that has one",
                     .found = "none",
                     .advice = "give --holdout DIR"});
}

// Letter frequencies of the baseline: those of the training set, or of the holdout for a model that has none.
struct BaselineLetters {
  std::span<const int64_t> counts;
  const char* source;
};

BaselineLetters baseline_letters(const interop::LoadedModel& model, const data::Dataset& holdout) {
  const auto& own = model.info.letter_counts;
  if (std::any_of(own.begin(), own.end(), [](int64_t count) { return count > 0; }))
    return {own, "training set"};
  log_warning(model.path.string(), " has no training set; the baseline uses the holdout's own letters");
  return {holdout.manifest().residue_counts, "holdout"};
}

void require_reach(const interop::LoadedModel& model, const data::Dataset& holdout, bool allow_longer) {
  const int64_t window = eval::longest_window(holdout);
  const int64_t reach = model.info.config.data.max_seq_len;
  if (window <= reach) return;
  if (!allow_longer)
    throw usage_error(
        {.where = model.path.string(),
         .expected = text("a model of data.max_seq_len ≥ ", window, ", the holdout's windows"),
         .found = std::to_string(reach),
         .advice = "prepare the holdout with a smaller --eval-length, or --allow-longer to score it on "
                   "sequences longer than it was trained on"});
  log_warning("scored on windows of up to ", window, " rows; the model was trained on ", reach);
}

void warn_about(const Scored& scored, const data::Dataset& holdout) {
  if (holdout.manifest().hash == scored.model.info.dataset_hash)
    log_warning(holdout.folder().string(), " is the training set of ", scored.model.path.string(),
                ": this is its training loss, not that of held-out sequences");
  if (scored.report.any().masked == 0)
    log_warning(holdout.folder().string(), " has nothing to score: none of its ",
                scored.report.any().sequences,
                " sequences has a masked position; only the 20 standard residues are masked");
}

// Weights without NaN may still overflow on the way to a loss.
void require_loss(const Scored& scored) {
  for (const auto& result : {scored.report.bert, scored.report.mask_only})
    if (result && result->masked > 0 && std::isnan(result->loss.value))
      throw Error({.where = scored.model.path.string(),
                   .expected = "a model whose losses are numbers",
                   .found = "a loss of NaN",
                   .advice = "use an earlier checkpoint"});
}

// Of checkpoint `index`: as given for it, or for all.
std::string weights_of(const Options& options, size_t index) {
  return options.weights.empty() ? "trained" : options.weights[std::min(index, options.weights.size() - 1)];
}

Json to_json(const Scored& scored) {
  Json json = eval::to_json(scored.report);
  json["weights"] = scored.weights;
  return json;
}

Scored score(const Program& program, const Options& options, size_t index) {
  train::set_up_process(program.thread_count());
  const std::string weights_name = weights_of(options, index);
  Scored scored{.weights = weights_name,
                .model = interop::load_model(options.checkpoints[index], weight_set(weights_name)),
                .evaluation = {},
                .report = {}};
  interop::LoadedModel& model = scored.model;
  interop::require_numbers(model.weights, model.path);
  const data::Dataset holdout(holdout_folder(options, model));
  require_reach(model, holdout, options.allow_longer);

  const at::Device device = train::choose_device(options.device);
  const model::Weights weights = model::copy_of(model.weights, device);
  const auto engine = model::make_engine(weights, {});
  eval::EvaluateOptions how{.mlm_probability = options.mlm_probability,
                            .max_sequences = options.max_sequences,
                            .draws = options.draws};
  if (options.pattern == "bert") how.only = data::MaskPattern::bert;
  if (options.pattern == "mask-only") how.only = data::MaskPattern::mask_only;
  dist::Ranks alone;
  const BaselineLetters letters = baseline_letters(model, holdout);
  scored.evaluation = eval::evaluate(*engine, weights.config, holdout, how, letters.counts, alone);
  scored.report = {.bert = scored.evaluation.bert,
                   .mask_only = scored.evaluation.mask_only,
                   .checkpoint = model.path,
                   .step = model.info.step,
                   .mlm_probability = how.mlm_probability,
                   .draws = how.draws,
                   .precision = "fp32",
                   .holdout_hash = holdout.manifest().hash,
                   .holdout_label = eval::holdout_label(holdout, model.info.dataset_hash,
                                                        model.info.config.data.max_seq_len),
                   .baseline_letters = letters.source};
  require_loss(scored);
  warn_about(scored, holdout);
  return scored;
}

// " in 4 draws (masks alone: ± 0.0021)"
std::string mask_text(const eval::EvaluationReport& report) {
  if (report.draws == 1) return "";
  return text(" in ", report.draws, " draws (masks alone: ± ", fixed(report.any().mask_error, 4), ")");
}

void print_table(std::ostream& out, const Scored& scored) {
  Table table({"masks", "loss (nats)", "perplexity", "accuracy", "frequencies alone",
               "below them (first residue excluded)"});
  const auto add = [&](const char* name, const std::optional<eval::PatternResult>& r) {
    if (!r) return;
    table.add({name, eval::to_text(r->loss), fixed(std::exp(r->loss.value), 3),
               fixed(100 * r->accuracy, 2) + "%", fixed(r->baseline, 4), eval::to_text(r->below_baseline)});
  };
  add("bert 80/10/10", scored.report.bert);
  add("mask only", scored.report.mask_only);
  const eval::EvaluationReport& report = scored.report;
  out << report.checkpoint.string() << (scored.weights == "trained" ? "" : ", weights " + scored.weights)
      << "\n"
      << table.str() << report.any().sequences << " sequences, " << report.any().tokens << " tokens, "
      << report.any().masked << " masked at " << report.mlm_probability << mask_text(report) << "; holdout "
      << report.holdout_label << "; frequencies of the " << report.baseline_letters << "\n";
}

// a − b, paired by sequence, for the patterns that both have.
struct Difference {
  std::optional<eval::LossEstimate> bert{}, mask_only{};
};

Difference difference(const eval::Evaluation& a, const eval::Evaluation& b) {
  Difference result;
  if (a.bert && b.bert) result.bert = eval::paired_difference(a.bert_scores, b.bert_scores);
  if (a.mask_only && b.mask_only)
    result.mask_only = eval::paired_difference(a.mask_only_scores, b.mask_only_scores);
  return result;
}

Json to_json(const Difference& difference) {
  Json json = Json::object();
  if (const auto& d = difference.bert) json.update({{"loss", d->value}, {"standard_error", d->error}});
  if (const auto& d = difference.mask_only)
    json.update({{"loss_mask_only", d->value}, {"standard_error_mask_only", d->error}});
  return json;
}

void print_difference(std::ostream& out, const Difference& difference) {
  if (difference.bert) out << "a − b, paired by sequence: " << eval::to_text(*difference.bert) << " nats\n";
  if (difference.mask_only) out << "a − b, mask only: " << eval::to_text(*difference.mask_only) << " nats\n";
}

void report_one(const Program& program, const Scored& scored, std::span<const std::string> group_of) {
  if (program.json) {
    Json json = to_json(scored);
    if (!group_of.empty()) json.update(groups_json(scored.evaluation, group_of));
    program.print(json);
    return;
  }
  print_table(program.out, scored);
  if (!group_of.empty()) print_groups(program.out, scored.evaluation, group_of);
}

void report_two(const Program& program, const Scored& a, const Scored& b,
                std::span<const std::string> group_of) {
  const Difference d = difference(a.evaluation, b.evaluation);
  if (program.json) {
    Json json = to_json(d);
    if (!group_of.empty()) json.update(group_differences_json(a.evaluation, b.evaluation, group_of));
    program.print({{"a", to_json(a)}, {"b", to_json(b)}, {"difference", std::move(json)}});
    return;
  }
  print_table(program.out, a);
  print_table(program.out, b);
  print_difference(program.out, d);
  if (!group_of.empty()) print_group_differences(program.out, a.evaluation, b.evaluation, group_of);
}

// By sequence of the holdout; empty when no groups are asked for.
std::vector<std::string> groups_of(const Options& options) {
  if (options.groups.empty()) return {};
  const interop::LoadedModel model = interop::load_model(options.checkpoints.front());
  return eval::read_groups(options.groups, options.group_column,
                           data::Dataset(holdout_folder(options, model)));
}

void check(const Options& options) {
  if (options.checkpoints.size() > 2)
    throw usage_error({.where = "--checkpoint",
                       .expected = "one, or two to compare",
                       .found = std::to_string(options.checkpoints.size())});
  if (options.weights.size() > options.checkpoints.size())
    throw usage_error({.where = "--weights",
                       .expected = "one, or one for each --checkpoint",
                       .found = std::to_string(options.weights.size())});
  for (size_t i = 0; i < options.checkpoints.size(); ++i) weight_set(weights_of(options, i));
  if (options.checkpoints.size() == 2 && !options.per_sequence.empty())
    throw usage_error({.where = "--per-sequence", .expected = "one --checkpoint", .found = "two"});
  // Before an hour of scoring, not after it.
  if (!options.per_sequence.empty()) require_output_file(options.per_sequence);
}

int evaluate_checkpoints(const Program& program, Options options) {
  if (options.checkpoints.empty()) options.checkpoints.push_back(".");
  check(options);
  const std::vector<std::string> group_of = groups_of(options);
  const Scored a = score(program, options, 0);
  if (!options.per_sequence.empty())
    eval::write_per_sequence(options.per_sequence, a.evaluation,
                             data::Dataset(holdout_folder(options, a.model)));
  if (options.checkpoints.size() == 1) {
    report_one(program, a, group_of);
    return 0;
  }
  if (!options.holdout || options.holdout->empty())
    options.holdout = holdout_folder(options, a.model).string();
  report_two(program, a, score(program, options, 1), group_of);
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(app, "eval", "Loss, perplexity and accuracy on a holdout's fixed masks",
                                    "esmscale eval --checkpoint runs/8M --holdout data/holdout");
  verb->add_option("--checkpoint", options->checkpoints,
                   "Run, checkpoint or Hugging Face folder; two for their paired difference; default: this "
                   "folder's run")
      ->allow_extra_args(false);
  verb->add_option(
          "--weights", options->weights,
          "trained, or an average that the run kept: ema or last (average.*); one for all, or one for "
          "each --checkpoint; default: trained")
      ->allow_extra_args(false);
  verb->add_option("--holdout", options->holdout, "Holdout; default: the run's own")->expected(0, 1);
  verb->add_option("--mlm-probability", options->mlm_probability,
                   "Masking rate, the same for every model whatever it was trained with")
      ->check(CLI::Range(0.001, 0.9))
      ->capture_default_str();
  verb->add_option("--draws", options->draws,
                   "Sets of masks: the mean over them, and the part of its error that is the masks'")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--mask-pattern", options->pattern, "bert or mask-only; default: both, two passes")
      ->check(CLI::IsMember({"bert", "mask-only"}));
  verb->add_option("--per-sequence", options->per_sequence,
                   "Write each sequence's sums to this TSV file (of one checkpoint)");
  verb->add_option("--groups", options->groups,
                   "A table of identifiers and their groups: losses by group, and the error when groups are "
                   "drawn, not sequences");
  verb->add_option("--group-column", options->group_column, "Its column of groups")->capture_default_str();
  verb->add_option("--max-sequences", options->max_sequences, "Score the first N sequences; 0: all")
      ->check(whole_number());
  verb->add_option("--device", options->device, "auto, cpu or cuda")->capture_default_str();
  verb->add_flag("--allow-longer", options->allow_longer,
                 "Score windows longer than the model was trained on");
  verb->callback([&program, options] {
    program.action = [&program, options] { return evaluate_checkpoints(program, *options); };
  });
}

}  // namespace esmscale::cli
