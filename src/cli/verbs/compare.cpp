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

struct Options {
  std::string a, b;
  std::vector<std::string> per_sequence;
};

study::Arm arm_of(const std::string& path) {
  study::Arm arm{.name = path, .runs = {}};
  for (const fs::path& run : study::find_runs(path)) arm.runs.push_back(study::view_run(run));
  return arm;
}

constexpr double kRounding = 1e-6;  // other threads or devices add the same terms in another order

bool is_of_newest_evaluation(const eval::PerSequence& file, const study::RunView& run) {
  const double expected = study::newest_metric(run.lines, "eval/loss");
  return std::abs(file.loss() - expected) <= kRounding * expected;
}

// Sums that are not those of the run's last evaluation are of another checkpoint or holdout.
eval::PerSequence given_scores(const study::RunView& run, const fs::path& file) {
  eval::PerSequence scores = eval::read_per_sequence(file);
  if (!is_of_newest_evaluation(scores, run))
    throw Error({.where = file.string(),
                 .expected = text("the scores of ", run.path.string(), ", whose holdout loss is ",
                                  study::newest_metric(run.lines, "eval/loss")),
                 .found = text("a loss of ", scores.loss()),
                 .advice = "write them again: esmscale eval --checkpoint RUN --per-sequence FILE"});
  return scores;
}

// What the run wrote at its newest evaluation; nullopt where there is nothing. A run that was killed in an
// evaluation, or that resumed before one, may have the sums of another.
std::optional<eval::PerSequence> own_scores(const study::RunView& run, std::vector<std::string>& warnings) {
  const fs::path file = run.path / eval::kPerSequenceFile;
  if (!fs::exists(file)) return std::nullopt;
  eval::PerSequence scores = eval::read_per_sequence(file);
  if (is_of_newest_evaluation(scores, run)) return scores;
  warnings.push_back(
      text(file.string(), " is not of the newest evaluation of its run: the difference is not paired"));
  return std::nullopt;
}

// "": the same sequences and masks, or nothing is known of one of them.
std::string difference_of_tasks(const eval::PerSequence& a, const eval::PerSequence& b) {
  if (!a.identity || !b.identity) return "";
  if (a.identity->holdout_hash != b.identity->holdout_hash) return "of two holdouts";
  if (a.identity->mlm_probability != b.identity->mlm_probability || a.identity->draws != b.identity->draws)
    return text("of ", a.identity->draws, " draws at ", a.identity->mlm_probability, " and of ",
                b.identity->draws, " at ", b.identity->mlm_probability);
  return "";
}

// With one run an arm and the scores of both.
std::optional<study::PairedDifference> paired(const Options& options, const study::Arm& a,
                                              const study::Arm& b, std::vector<std::string>& warnings) {
  const bool is_given = !options.per_sequence.empty();
  const bool is_one_each = a.runs.size() == 1 && b.runs.size() == 1;
  if (is_given && (options.per_sequence.size() != 2 || !is_one_each))
    throw usage_error({.where = "--per-sequence",
                       .expected = "two files, one of each run",
                       .found = text(options.per_sequence.size(), " files for ", a.runs.size(), " and ",
                                     b.runs.size(), " runs")});
  if (!is_one_each) return std::nullopt;
  std::optional<eval::PerSequence> of_a, of_b;
  if (is_given) {
    of_a = given_scores(a.runs[0], options.per_sequence[0]);
    of_b = given_scores(b.runs[0], options.per_sequence[1]);
  } else {
    of_a = own_scores(a.runs[0], warnings);
    of_b = own_scores(b.runs[0], warnings);
  }
  if (!of_a || !of_b) return std::nullopt;
  if (const std::string differs = difference_of_tasks(*of_a, *of_b); !is_given && !differs.empty()) {
    warnings.push_back(text("the scores by sequence are ", differs, ": the difference is not paired"));
    return std::nullopt;
  }
  const eval::LossEstimate difference = eval::paired_difference(of_a->scores, of_b->scores);
  return study::PairedDifference{.loss = difference.value, .error = difference.error};
}

int compare(const Program& program, const Options& options) {
  const study::Arm a = arm_of(options.a), b = arm_of(options.b);
  std::vector<std::string> warnings;
  study::Comparison comparison = study::compare(a, b, paired(options, a, b, warnings));
  comparison.warnings.insert(comparison.warnings.end(), warnings.begin(), warnings.end());
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
                   "(default: what both runs wrote at their newest evaluation)")
      ->expected(2)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->callback(
      [&program, options] { program.action = [&program, options] { return compare(program, *options); }; });
}

}  // namespace esmscale::cli
