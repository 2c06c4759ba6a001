// The sums by sequence of a run's newest evaluation, in a small file of the run.
#pragma once

#include "esmscale/data/dataset/dataset.h"
#include "esmscale/eval/report.h"
#include "esmscale/run/run_folder.h"

namespace esmscale::train {

// RUN/per_sequence.tsv (eval/per_sequence.h), replaced whole; rank 0 calls it. A file that cannot be
// written, as on a full disk, is a warning: the run does not depend on it.
void write_sequence_scores(const run::RunFolder& run, const eval::Evaluation& evaluation,
                           const eval::EvaluationReport& report, const data::Dataset& holdout);

}  // namespace esmscale::train
