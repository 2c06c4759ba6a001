#include "train/scores/sequence_scores.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/eval/per_sequence.h"

namespace esmscale::train {

void write_sequence_scores(const run::RunFolder& run, const eval::Evaluation& evaluation,
                           const eval::EvaluationReport& report, const data::Dataset& holdout) {
  try {
    eval::write_per_sequence(run.path() / eval::kPerSequenceFile, evaluation, holdout,
                             eval::identity_of(report));
  } catch (const Error& problem) {
    log_warning("the scores by sequence are not written: ", problem.what());
  }
}

}  // namespace esmscale::train
