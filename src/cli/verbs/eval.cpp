#include "cli/checks.h"
#include "cli/device_flag.h"
#include "cli/enum_flag.h"
#include "cli/model_flags.h"
#include "cli/verbs/eval_text.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/eval/groups.h"
#include "esmscale/eval/per_sequence.h"
#include "esmscale/train/process/process_setup.h"

namespace esmscale::cli {
namespace {

std::filesystem::path holdout_folder(const EvalOptions& options, const interop::LoadedModel& model) {
  if (options.holdout && !options.holdout->empty()) return *options.holdout;
  if (!model.info.config.data.holdout.empty()) return model.info.config.data.holdout;
  throw usage_error({.where = "--holdout",
                     .expected = "a holdout, or a run that has one",
                     .found = "none",
                     .advice = "give --holdout DIR"});
}

void check(const EvalOptions& options) {
  if (options.checkpoints.size() > 2)
    throw usage_error({.where = "--checkpoint",
                       .expected = "one, or two to compare",
                       .found = std::to_string(options.checkpoints.size())});
  if (options.weights.size() > options.checkpoints.size())
    throw usage_error({.where = "--weights",
                       .expected = "one, or one for each --checkpoint",
                       .found = std::to_string(options.weights.size())});
  if (options.checkpoints.size() == 2 && !options.per_sequence.empty())
    throw usage_error({.where = "--per-sequence", .expected = "one --checkpoint", .found = "two"});
  // Before an hour of scoring, not after it.
  if (!options.per_sequence.empty()) require_output_file(options.per_sequence, options.force);
}

int evaluate_checkpoints(const Program& program, EvalOptions options) {
  if (options.checkpoints.empty()) options.checkpoints.push_back(".");
  check(options);
  train::set_up_process(program.thread_count());
  interop::LoadedModel first = load_for_eval(options, 0);
  const data::Dataset holdout(holdout_folder(options, first));
  std::vector<std::string> group_of;
  if (!options.groups.empty()) group_of = eval::read_groups(options.groups, options.group_column, holdout);
  const Scored a = score(options, 0, std::move(first), holdout);
  if (!options.per_sequence.empty()) eval::write_per_sequence(options.per_sequence, a.evaluation, holdout);
  if (options.checkpoints.size() == 1)
    report_one(program, a, group_of);
  else
    report_two(program, a, score(options, 1, load_for_eval(options, 1), holdout), group_of);
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, Program& program) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* verb = program.add_verb(app, "eval", "Loss, perplexity and accuracy on a holdout's fixed masks",
                                    "esmscale eval --checkpoint runs/8M --holdout data/holdout");
  verb->add_option("--checkpoint", options->checkpoints,
                   "Run, checkpoint or Hugging Face folder; two for their paired difference; default: this "
                   "folder's run")
      ->allow_extra_args(false);
  const auto add_weights = [options](const std::string& name) {
    options->weights.push_back(enum_from_name<optim::WeightSet>(name, "--weights"));
  };
  verb->add_option_function<std::string>(
          "--weights", add_weights,
          "trained, or an average that the run kept: ema or last (average.*); one for all, or one for "
          "each --checkpoint; default: trained")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->trigger_on_parse();
  verb->add_option("--holdout", options->holdout, "Holdout; default: the run's own")->expected(0, 1);
  verb->add_option("--mlm-probability", options->mlm_probability,
                   "Masking rate, the same for every model whatever it was trained with")
      ->check(CLI::Range(0.001, 0.9))
      ->capture_default_str();
  verb->add_option("--draws", options->draws,
                   "Sets of masks: the mean over them, and the part of its error that is the masks'")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_enum_flag(*verb, "--mask-pattern", options->pattern, "bert or mask-only; default: both, two passes");
  verb->add_option("--per-sequence", options->per_sequence,
                   "Write each sequence's sums to this TSV file (of one checkpoint)");
  add_force_flag(*verb, options->force);
  verb->add_option("--groups", options->groups,
                   "A table of identifiers and their groups: losses by group, and the error when groups are "
                   "drawn, not sequences");
  verb->add_option("--group-column", options->group_column, "Its column of groups")->capture_default_str();
  verb->add_option("--max-sequences", options->max_sequences, "Score the first N sequences; 0: all")
      ->check(whole_number());
  add_device_flag(*verb, options->device);
  add_precision_flag(*verb, options->precision);
  verb->add_flag("--allow-longer", options->allow_longer,
                 "Score windows longer than the model was trained on");
  verb->callback([&program, options] {
    program.action = [&program, options] { return evaluate_checkpoints(program, *options); };
  });
}

}  // namespace esmscale::cli
