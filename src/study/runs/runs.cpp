#include "esmscale/study/runs/runs.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/plan/shapes.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// The runs in a folder; of a study, those in its folder of runs.
std::vector<fs::path> runs_inside(const fs::path& folder) {
  const bool is_study = fs::exists(folder / "study.json") && fs::is_directory(folder / "runs");
  std::vector<fs::path> inside;
  if (fs::is_directory(folder))
    for (const fs::directory_entry& entry : fs::directory_iterator(is_study ? folder / "runs" : folder))
      if (run::RunFolder(entry.path()).is_run() && !is_export(entry.path())) inside.push_back(entry.path());
  std::sort(inside.begin(), inside.end());
  return inside;
}

// "linear to 0.1": the share of the peak at which a run ends moves its last loss.
std::string schedule_of(const config::RunConfig& config) {
  const config::ScheduleConfig& schedule = config.schedule;
  const std::string name(enum_name(schedule.name));
  return schedule.name == config::ScheduleKind::constant ? name : text(name, " to ", schedule.decay_factor);
}

laws::Point point_of(const FinishedRun& run, const laws::PointOptions& options, laws::FlopCount flop_count) {
  laws::Point point;
  point.parameters = count_as(run.config.model, options.parameter_count);
  point.tokens = number_in(run.last, "tokens");
  point.loss = final_loss(run, options.loss);
  point.loss_error = final_loss_error(run, options.loss);
  point.flops = flop_count == laws::FlopCount::six_n_d ? 6 * point.parameters * point.tokens
                                                       : number_in(run.last, "flops");
  point.budget = run.config.study.budget;
  point.run = run.name;
  point.schedule = schedule_of(run.config);
  point.seed = run.config.train.seed;
  if (run.unique_tokens > 0 && point.tokens > run.unique_tokens) point.unique_tokens = run.unique_tokens;
  return point;
}

// `what` of all runs is the same, or is asked to be mixed; returns the common value.
template <class Value>
std::string common(const std::vector<FinishedRun>& runs, const char* what, const laws::PointOptions& options,
                   std::vector<std::string>& warnings, const Value& value_of) {
  std::map<std::string, std::vector<std::string>> runs_with;
  for (const FinishedRun& run : runs) runs_with[value_of(run)].push_back(run.name);
  if (runs_with.size() == 1) return runs_with.begin()->first;
  std::vector<std::string> found;
  for (const auto& [value, names] : runs_with)
    found.push_back(text(value, " (", names.front(),
                         names.size() > 1 ? text(" and ", names.size() - 1, " more") : "", ")"));
  if (!options.allow_mixed)
    throw Error({.where = "the runs to fit",
                 .expected = text("one ", what, " for all"),
                 .found = join(found, ", "),
                 .advice = "fit them apart, or ask for it with --allow-mixed"});
  warnings.push_back(text("mixed as asked: ", what, " is ", join(found, ", ")));
  return "mixed";
}

void refuse_repeated_runs(const std::vector<FinishedRun>& runs) {
  std::map<std::string, std::string> names;
  for (const FinishedRun& run : runs) {
    const auto [first, is_new] = names.try_emplace(config::identity_hash(run.config) + run.dataset, run.name);
    if (!is_new)
      throw Error({.where = run.name,
                   .expected = "each run once (a replicate has another train.seed)",
                   .found = text("the same configuration, seed and data as ", first->second),
                   .advice = "leave one of the two out"});
  }
}

// Ratios of the runs' own shapes; beyond half and double their range those of buildable shapes.
laws::FlopRatio ratio_of(const laws::PointSet& set, int64_t alphabet) {
  std::vector<laws::FlopRatio::Knot> knots;
  double low = INFINITY, high = 0;
  for (const laws::Point& p : set.points) {
    low = std::min(low, p.parameters);
    high = std::max(high, p.parameters);
    if (std::none_of(knots.begin(), knots.end(),
                     [&](const auto& k) { return laws::same_size(k.parameters, p.parameters); }))
      knots.push_back({p.parameters, p.flops / (6 * p.parameters * p.tokens)});
  }
  for (double decade = 4; decade <= 10.5; decade += 0.25) {
    const config::ModelConfig shape =
        nearest_shape(std::pow(10, decade), set.basis.parameter_count, alphabet);
    const double n = count_as(shape, set.basis.parameter_count);
    if (n > low / 2 && n < 2 * high) continue;
    knots.push_back({n, accounting::FlopCounter(shape).training(1, set.basis.mean_squared_length) / (6 * n)});
  }
  return laws::FlopRatio(std::move(knots));
}

// Adam with weight decay and without it are one family; a law of one family says nothing of another.
std::string optimizer_of(const config::RunConfig& config) {
  const config::OptimizerKind name = config.optimizer.name;
  return std::string(config::has_matrix_updates(name) ? enum_name(name) : "adam");
}

std::string masking_rate_of(const config::RunConfig& config) {
  const double first = config.masking.mlm_probability, last = config.masking.final_mlm_probability;
  return last > 0 ? text(first, " to ", last) : text(first);
}

void settle_basis(laws::PointSet& set, const std::vector<FinishedRun>& runs,
                  const laws::PointOptions& options) {
  laws::Basis& basis = set.basis;
  const auto settle = [&](const char* what, const auto& value_of) {
    return common(runs, what, options, set.warnings, value_of);
  };
  basis.dataset = settle("training set", [](const FinishedRun& r) { return r.dataset; });
  basis.holdout =
      settle("holdout", [](const FinishedRun& r) { return text_in(r.last, "eval/holdout_hash", r.holdout); });
  basis.alphabet =
      settle("alphabet", [](const FinishedRun& r) { return text(r.config.model.alphabet, " tokens"); });
  settle("masking rate", [](const FinishedRun& r) { return masking_rate_of(r.config); });
  settle("optimiser", [](const FinishedRun& r) { return optimizer_of(r.config); });
  settle("schedule", [](const FinishedRun& r) { return schedule_of(r.config); });
  settle("masking rate of evaluations", [](const FinishedRun& r) {
    const double rate = number_in(r.last, "eval/mlm_probability");
    return text(std::isnan(rate) ? r.config.eval.mlm_probability : rate);
  });
  settle("precision of evaluations", [](const FinishedRun& r) {
    return text_in(r.last, "eval/precision", std::string(enum_name(r.config.train.precision)));
  });
  settle("precision", [](const FinishedRun& r) { return std::string(enum_name(r.config.train.precision)); });
  basis.holdout_label = runs.front().holdout_label;

  double low = INFINITY, high = 0;
  for (const FinishedRun& run : runs) {
    const double length = mean_squared_length(run);
    basis.mean_squared_length += length / double(runs.size());
    low = std::min(low, length);
    high = std::max(high, length);
  }
  if (high > 1.05 * low)
    set.warnings.push_back(text("sequence lengths differ between runs (mean squared length ", fixed(low, 0),
                                " to ", fixed(high, 0), " rows); Hoffmann's C depends on it"));
}

// The runs that a fit takes, by name, and why it leaves the others out.
struct Selection {
  std::vector<FinishedRun> runs;
  std::vector<laws::PointSet::Excluded> excluded;
  std::vector<std::string> warnings;
};

// "" for a run whose last loss is a point of the fit.
std::string why_not(const FinishedRun& run, const laws::PointOptions& options) {
  if (run.stage == config::RunStage::lr_sweep) return "it is a trial of the sweep of learning rates";
  if (run.stage == config::RunStage::trunk)
    return "it is a trunk, whose rate has not decayed: its branches are the points";
  if (run.stage == config::RunStage::arm) return "it is an arm, added to its study for another question";
  if (!(final_loss(run, options.loss) > 0)) return text("it has no ", loss_key(options.loss));
  return "";
}

void select(const fs::path& path, const laws::PointOptions& options, Selection& selection) {
  const auto leave_out = [&](const std::string& why) {
    selection.excluded.push_back({fs::weakly_canonical(path).filename().string(), why});
  };
  std::string why;
  std::optional<FinishedRun> run = read_finished_run(path, why);
  if (run) why = why_not(*run, options);
  if (!run || !why.empty()) return leave_out(why);
  if (const std::string from = run::RunFolder(path).initial_weights(); !from.empty()) {
    const std::string weights = text("it began from the weights of ", from, " (--init-from)");
    if (!options.allow_mixed)
      return leave_out(weights + ", whose tokens D does not count; --allow-mixed takes it");
    selection.warnings.push_back(text(run->name, ": ", weights, "; its tokens do not count theirs"));
  }
  selection.runs.push_back(std::move(*run));
}

Selection select(const std::vector<fs::path>& paths, const laws::PointOptions& options) {
  Selection selection;
  for (const fs::path& path : run_folders(paths)) select(path, options, selection);
  refuse_repeated_runs(selection.runs);
  if (selection.runs.size() >= 2) return selection;
  std::vector<std::string> reasons;
  for (const auto& e : selection.excluded) reasons.push_back(text(e.run, ": ", e.why));
  throw Error(
      {.where = "the runs to fit",
       .expected = "at least two finished runs",
       .found = text(selection.runs.size(), reasons.empty() ? "" : "; left out: ", join(reasons, "; "))});
}

laws::PointSet points_of(const Selection& selection, const laws::PointOptions& options) {
  laws::PointSet set;
  set.excluded = selection.excluded;
  set.warnings = selection.warnings;
  set.basis.source = "run folders";
  set.basis.flop_count = options.flop_count.value_or(laws::FlopCount::hoffmann);
  set.basis.parameter_count = options.parameter_count;
  set.basis.loss = options.loss;
  set.basis.most_epochs = options.most_epochs;
  settle_basis(set, selection.runs, options);
  for (const FinishedRun& run : selection.runs) {
    set.points.push_back(point_of(run, options, set.basis.flop_count));
    laws::Curve curve = curve_of(run, options.loss);
    curve.point = set.points.size() - 1;
    if (set.basis.flop_count == laws::FlopCount::six_n_d)
      for (laws::Curve::Sample& sample : curve.samples)
        sample.flops = 6 * set.points.back().parameters * sample.tokens;
    if (curve.samples.size() > 1) set.curves.push_back(std::move(curve));
  }
  if (set.basis.flop_count == laws::FlopCount::hoffmann)
    set.basis.flop_ratio = ratio_of(set, selection.runs.front().config.model.alphabet);
  laws::drop_highest(set, options.drop_highest);
  return set;
}

}  // namespace

std::vector<fs::path> run_folders(const std::vector<fs::path>& paths) {
  std::vector<fs::path> folders;
  for (const fs::path& path : paths) {
    const bool has_config = run::RunFolder(path).is_run();
    if (has_config && !is_export(path)) {
      folders.push_back(path);
      continue;
    }
    const std::vector<fs::path> inside = runs_inside(path);
    if (inside.empty())
      throw Error({.where = path.string(),
                   .expected = "a run folder, a folder of run folders, or the folder of a study",
                   .found = has_config         ? "a Hugging Face folder, which has no curve"
                            : fs::exists(path) ? "no config.json of a run in it or in its folders"
                                               : "no such folder",
                   .advice = "give the --output folders of esmscale train"});
    folders.insert(folders.end(), inside.begin(), inside.end());
  }
  return folders;
}

laws::PointSet read_runs(const std::vector<fs::path>& paths, const laws::PointOptions& options) {
  return points_of(select(paths, options), options);
}

std::vector<laws::PointSet> read_runs(const std::vector<fs::path>& paths, const laws::PointOptions& options,
                                      const std::vector<Counts>& counts) {
  const Selection selection = select(paths, options);
  std::vector<laws::PointSet> sets;
  for (const Counts& by : counts) {
    laws::PointOptions counted = options;
    counted.flop_count = by.flops;
    counted.parameter_count = by.parameters;
    sets.push_back(points_of(selection, counted));
  }
  return sets;
}

}  // namespace esmscale::study
