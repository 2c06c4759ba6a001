// Scores by sequence as a TSV file: what eval --per-sequence writes and compare reads.
#pragma once

#include "esmscale/eval/evaluator.h"

#include <filesystem>
#include <vector>

namespace esmscale::eval {

// Columns: sequence, identifier, pattern (bert or mask-only), tokens, masked, loss_sum, baseline_sum, hits.
void write_per_sequence(const std::filesystem::path& file, const Evaluation& evaluation,
                        const data::Dataset& holdout);

// The sums of the bert pattern, without those that leave the first residue out. Error: another file, a cell
// that is no number.
std::vector<SequenceScore> read_per_sequence(const std::filesystem::path& file);

}  // namespace esmscale::eval
