#include "train/start/decide.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/config/schedule.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "train/start/identity.h"

#include <optional>

#include <unistd.h>

namespace esmscale::train {
namespace {

namespace fs = std::filesystem;

void refuse_output(const run::RunFolder& run, const std::string& found) {
  throw Error({.where = run.path().string(),
               .expected = "an empty folder or a run of this configuration",
               .found = found,
               .advice = "give another --output"});
}

void require_output(const run::RunFolder& run, bool resumes) {
  if (fs::exists(run.path()) && !fs::is_directory(run.path())) refuse_output(run, "a file");
  if (!run.is_empty() && !(resumes && run.is_run()))
    refuse_output(run, run.is_run() ? "a run, and --resume never" : "something else");
  fs::path parent = fs::absolute(run.path());
  while (!fs::exists(parent) && parent.has_relative_path()) parent = parent.parent_path();
  if (::access(parent.c_str(), W_OK) != 0)
    refuse_output(run, parent.string() + ", which cannot be written to");
}

// One folder holds one run: another's checkpoint would mix its metrics and checkpoints with those that are
// there.
void require_own_checkpoint(const run::RunFolder& run, const fs::path& checkpoint) {
  if (fs::canonical(checkpoint).parent_path() == fs::weakly_canonical(run.checkpoints())) return;
  const bool has_metrics = fs::exists(run.metrics()) && !fs::is_empty(run.metrics());
  if (!has_metrics && run.list_checkpoints().empty()) return;
  throw usage_error(
      {.where = "--resume " + checkpoint.string(),
       .expected = "a checkpoint of the run in " + run.path().string(),
       .found = "one from elsewhere",
       .advice = "give an empty --output to resume from it, or begin a new run with --init-from"});
}

fs::path checkpoint_to_resume(const TrainOptions& options, const run::RunFolder& run) {
  if (options.resume == "never") return {};
  if (options.resume == "auto") {
    const auto newest = run.newest_checkpoint();
    return newest ? newest->path : fs::path();
  }
  fs::path checkpoint = checkpoint::resolve_checkpoint(options.resume);
  require_own_checkpoint(run, checkpoint);
  return checkpoint;
}

int64_t tokens_of_epochs(const config::RunConfig& config, const RunPlan& plan) {
  return plan.epoch_tokens * config.train.epochs;
}

// `stored`: of a run's folder, or of the checkpoint to resume from. `tokens`: how far that run has come.
void require_resumable(const TrainOptions& options, const config::RunConfig& stored, const RunPlan& plan,
                       int64_t tokens, const fs::path& where) {
  const bool may_raise =
      may_raise_tokens(stored, options.config, tokens_of_epochs(options.config, plan), tokens);
  require_same_identity(stored, options.config, may_raise, where);
}

// A rate that rises again shows as a step back in the loss.
std::optional<std::string> warning_of_decay(const checkpoint::CheckpointInfo& parent, const fs::path& folder,
                                            const TrainOptions& options, const RunInputs& inputs,
                                            const RunPlan& plan) {
  constexpr double kNoise = 1.05;  // cut warm-ups and decays move a rate a little
  const config::RunConfig& trunk = parent.config;
  const config::Schedule before(trunk.schedule, trunk.optimizer.lr, tokens_of_run(trunk, inputs.train));
  const config::Schedule after(options.config.schedule, options.config.optimizer.lr, plan.tokens);
  const double old_rate = before.at(parent.tokens), new_rate = after.at(parent.tokens);
  if (trunk.optimizer.lr <= kNoise * old_rate || new_rate <= kNoise * old_rate) return std::nullopt;
  std::string better;
  for (const run::CheckpointFolder& other :
       run::RunFolder(folder.parent_path().parent_path()).list_checkpoints())
    if (better.empty() &&
        trunk.optimizer.lr <= kNoise * before.at(checkpoint::read_checkpoint_info(other.path).tokens))
      better = text("; the last checkpoint before the decay is ", other.path.string());
  return text(folder.string(), ": its learning rate has decayed to ", old_rate, " and rises to ", new_rate,
              " in this branch", better);
}

bool remember_alike(const config::OptimizerConfig& a, const config::OptimizerConfig& b) {
  const auto is_adam = [](const config::OptimizerConfig& optimizer) {
    return !config::has_matrix_updates(optimizer.name);
  };
  return a.name == b.name || (is_adam(a) && is_adam(b));
}

// A branch keeps model, data and their order; schedule, rates, averages and length may differ from here on.
void require_branch(const TrainOptions& options, const RunInputs& inputs, const RunPlan& plan,
                    std::vector<std::string>& warnings) {
  const fs::path parent = checkpoint::resolve_checkpoint(options.branch_from);
  const checkpoint::CheckpointInfo info = checkpoint::read_checkpoint_info(parent);
  config::RunConfig comparable = options.config;
  comparable.schedule = info.config.schedule;
  if (!remember_alike(info.config.optimizer, options.config.optimizer))
    throw usage_error({.where = "--branch-from",
                       .expected = text("optimizer.name = ", enum_name(info.config.optimizer.name), ", as ",
                                        parent.string(), " has moments of it"),
                       .found = std::string(enum_name(options.config.optimizer.name)),
                       .advice = "take its weights alone with --init-from"});
  comparable.optimizer = info.config.optimizer;
  comparable.train.max_tokens = info.config.train.max_tokens;
  comparable.train.epochs = info.config.train.epochs;
  comparable.train.grad_clip = info.config.train.grad_clip;
  comparable.average = info.config.average;
  require_same_identity(info.config, comparable, /*raises_tokens=*/false, parent);
  require_same_data(info, inputs.train, parent);
  if (plan.tokens <= info.tokens)
    throw usage_error(
        {.where = "--branch-from",
         .expected = text("a run of more than the ", info.tokens, " tokens of ", parent.string()),
         .found = text(plan.tokens, " tokens"),
         .advice = "tokens are counted from the trunk's beginning: raise train.max_tokens or train.epochs"});
  if (const auto warning = warning_of_decay(info, parent, options, inputs, plan))
    warnings.push_back(*warning);
}

// A preset's own train.max_tokens is cut to the tokens of the data, with a note in the plan; so is that of a
// run that began in this way.
void require_tokens(const TrainOptions& options, const run::RunFolder& run, const RunInputs& inputs,
                    const RunPlan& plan) {
  const int64_t wanted = options.config.train.max_tokens, most = tokens_of_epochs(options.config, plan);
  if (wanted <= most || options.max_tokens_from_preset) return;
  if (run.is_run() && run.read_config().train.max_tokens == wanted) return;
  throw usage_error(
      {.where = text("train.max_tokens = ", wanted),
       .expected = text("at most ", most, " tokens: train.epochs = ", options.config.train.epochs, " of the ",
                        plan.epoch_tokens, " tokens of ", inputs.train.folder().string()),
       .found = std::to_string(wanted),
       .advice = text("set train.epochs=", (wanted + plan.epoch_tokens - 1) / plan.epoch_tokens,
                      ", or give more data")});
}

}  // namespace

Beginning decide_beginning(const TrainOptions& options, const run::RunFolder& run, const RunInputs& inputs,
                           const RunPlan& plan) {
  require_output(run, options.resume != "never");
  Beginning beginning{.resume_from = checkpoint_to_resume(options, run), .warnings = {}};
  const fs::path& from = beginning.resume_from;
  std::optional<checkpoint::CheckpointInfo> info;
  if (!from.empty()) info = checkpoint::read_checkpoint_info(from);
  const int64_t tokens = info ? info->tokens : 0;
  if (run.is_run()) {
    require_resumable(options, run.read_config(), plan, tokens, run.path());
    require_same_beginning(run, inputs.train);
    if (info && !options.rescore) require_same_holdout(run, inputs.holdout, tokens >= plan.tokens);
  }
  if (info) {
    require_resumable(options, info->config, plan, tokens, from);
    require_same_data(*info, inputs.train, from);
    require_same_origin(*info, options, from);
  } else if (!options.branch_from.empty()) {
    require_branch(options, inputs, plan, beginning.warnings);
  }
  require_tokens(options, run, inputs, plan);
  return beginning;
}

}  // namespace esmscale::train
