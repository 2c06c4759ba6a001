// The groups of esmscale eval --groups: losses by family, or by identity to the training set.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/eval/evaluator.h"

#include <ostream>
#include <span>
#include <string>

namespace esmscale::cli {

// "groups" (rows of group, sequences, masked, loss, standard_error, below_baseline, below_baseline_error) and
// "standard_error_by_group", the error of the whole loss when groups are drawn, not sequences. Of BERT's
// masks where both patterns were scored.
Json groups_json(const eval::Evaluation& evaluation, std::span<const std::string> group_of);
void print_groups(std::ostream& out, const eval::Evaluation& evaluation,
                  std::span<const std::string> group_of);

// a − b, paired by sequence within each group, and over all groups with the error of drawing groups.
Json group_differences_json(const eval::Evaluation& a, const eval::Evaluation& b,
                            std::span<const std::string> group_of);
void print_group_differences(std::ostream& out, const eval::Evaluation& a, const eval::Evaluation& b,
                             std::span<const std::string> group_of);

}  // namespace esmscale::cli
