// esmscale compare: what differs between two runs or arms, and by how much.
#include "esmscale/study/runs/compare.h"

#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/per_sequence.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPerSequence = "per_sequence.tsv";  // in a run folder

struct Options {
  std::string a, b;
  std::vector<std::string> per_sequence;
};

study::Arm arm_of(const std::string& path) {
  study::Arm arm{.name = path, .runs = {}};
  for (const fs::path& run : study::find_runs(path)) arm.runs.push_back(study::view_run(run));
  return arm;
}

// Sums that are not those of the run's last evaluation are of another checkpoint or holdout.
std::vector<eval::SequenceScore> scores_of(const study::RunView& run, const fs::path& file) {
  std::vector<eval::SequenceScore> scores = eval::read_per_sequence(file);
  double loss = 0, masked = 0;
  for (const eval::SequenceScore& score : scores) {
    loss += score.loss;
    masked += double(score.masked);
  }
  const double expected = study::newest_metric(run.lines, "eval/loss");
  constexpr double kRounding = 1e-6;  // other threads or devices add the same terms in another order
  if (!(std::abs(loss / masked - expected) <= kRounding * expected))
    throw Error({.where = file.string(),
                 .expected = text("the scores of ", run.path.string(), ", whose holdout loss is ", expected),
                 .found = text("a loss of ", loss / masked),
                 .advice = "write them again: esmscale eval --checkpoint RUN --per-sequence FILE"});
  return scores;
}

// With one run an arm and both files there.
std::optional<study::PairedDifference> paired(const Options& options, const study::Arm& a,
                                              const study::Arm& b) {
  const bool is_one_each = a.runs.size() == 1 && b.runs.size() == 1;
  if (!options.per_sequence.empty() && (options.per_sequence.size() != 2 || !is_one_each))
    throw usage_error({.where = "--per-sequence",
                       .expected = "two files, one of each run",
                       .found = text(options.per_sequence.size(), " files for ", a.runs.size(), " and ",
                                     b.runs.size(), " runs")});
  if (!is_one_each) return std::nullopt;
  std::vector<fs::path> files(options.per_sequence.begin(), options.per_sequence.end());
  if (files.empty()) files = {a.runs[0].path / kPerSequence, b.runs[0].path / kPerSequence};
  if (options.per_sequence.empty() && !(fs::exists(files[0]) && fs::exists(files[1]))) return std::nullopt;
  const eval::LossEstimate difference =
      eval::paired_difference(scores_of(a.runs[0], files[0]), scores_of(b.runs[0], files[1]));
  return study::PairedDifference{.loss = difference.value, .error = difference.error};
}

int compare(const Program& program, const Options& options) {
  const study::Arm a = arm_of(options.a), b = arm_of(options.b);
  const study::Comparison comparison = study::compare(a, b, paired(options, a, b));
  if (program.json)
    program.print(study::to_json(comparison));
  else
    program.out << study::to_text(comparison);
  return 0;
}

}  // namespace

void add_compare(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "compare", "What differs between two runs or arms, and their losses' difference",
                       "esmscale compare runs/adam runs/muon");
  verb->add_option("A", options->a, "A run, or a folder of runs that differ in the seed")->required();
  verb->add_option("B", options->b, "The other")->required();
  verb->add_option("--per-sequence", options->per_sequence,
                   "Scores of A and of B by sequence, from eval --per-sequence, for a paired difference "
                   "(default: per_sequence.tsv in both run folders, if they are there)")
      ->expected(2)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->callback(
      [&program, options] { program.action = [&program, options] { return compare(program, *options); }; });
}

}  // namespace esmscale::cli
