// Points and curves from run folders: their config.json, environment.json and metrics.jsonl, never their
// weights.
#pragma once

#include "esmscale/laws/points/points.h"
#include "esmscale/run/run_folder.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::study {

// The run folders that the paths mean: each itself, those in a folder of runs, or those of a study. Error for
// a path that holds none.
std::vector<std::filesystem::path> run_folders(const std::vector<std::filesystem::path>& paths);

// One point a finished run: N from its shape by options.parameter_count, D and C from its last line of
// metrics, the loss that options.loss names (eval: the last holdout loss; train: the mean over the last
// twentieth of the tokens). A path may also be a folder of run folders, whose Hugging Face exports are passed
// over, or the folder of a study. Left out by name: runs that have not finished or have no such loss, trials
// of a study's sweep of learning rates, trunks, and runs that began from other weights (--init-from), unless
// options.allow_mixed. Error: no such folder; the same run twice; several data sets, holdouts, alphabets or
// masking rates (the runs are named) unless options.allow_mixed; fewer than two finished runs.
laws::PointSet read_runs(const std::vector<std::filesystem::path>& paths, const laws::PointOptions& options);

struct Counts {
  std::optional<laws::FlopCount> flops;  // none: hoffmann
  laws::ParameterCount parameters{};
};
// The same, with each of these counts in place of those of `options`. The folders are read once.
std::vector<laws::PointSet> read_runs(const std::vector<std::filesystem::path>& paths,
                                      const laws::PointOptions& options, const std::vector<Counts>& counts);

// Why a run with these lines of metrics counts as not finished: "it has not finished (step 7)", or what its
// end lacks, tokens or the last checkpoint; "" when it is finished.
std::string missing_at_end(const run::RunFolder& folder, const std::vector<Json>& lines);

}  // namespace esmscale::study
