// Scores by sequence as a TSV file: what runs and eval --per-sequence write, and compare reads.
#pragma once

#include "esmscale/eval/report.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::eval {

// The name in a run folder: the sums of its newest evaluation.
inline constexpr const char* kPerSequenceFile = "per_sequence.tsv";

// Which evaluation the sums are of. Those of two models are paired only where all except step and precision
// agree.
struct EvaluationIdentity {
  int64_t step = 0;
  std::string holdout_hash;
  double mlm_probability = 0;
  int64_t draws = 1;
  std::string precision;
};
EvaluationIdentity identity_of(const EvaluationReport& report);

struct PerSequence {
  std::optional<EvaluationIdentity> identity;  // files of eval have none
  // The sums of the bert pattern. Those that leave the first residue out are 0 in files of earlier versions.
  std::vector<SequenceScore> scores;

  double loss() const;  // nats per masked position
};

// A first line "# {"step":…,"holdout_hash":…,"mlm_probability":…,"draws":…,"precision":…}" if there is an
// identity, then the columns: sequence, identifier, pattern (bert or mask-only), tokens, masked, loss_sum,
// baseline_sum, hits, and without the first residue inner_masked, inner_loss_sum, inner_baseline_sum.
void write_per_sequence(const std::filesystem::path& file, const Evaluation& evaluation,
                        const data::Dataset& holdout, const std::optional<EvaluationIdentity>& identity = {});

// Error: another file, a cell that is no number.
PerSequence read_per_sequence(const std::filesystem::path& file);

}  // namespace esmscale::eval
