// The loss by groups of sequences, such as families or bins of identity to the training set.
#pragma once

#include "esmscale/eval/evaluator.h"

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace esmscale::data {
class Dataset;
}

namespace esmscale::eval {

// Sequences without one.
inline constexpr const char* kNoGroup = "(none)";

// The group of each sequence of a holdout, by the table's columns `identifier` and `column`. Error when a
// column is absent, an identifier occurs with two groups, or none of them is in the holdout.
std::vector<std::string> read_groups(const std::filesystem::path& table, const std::string& column,
                                     const data::Dataset& holdout);

struct GroupResult {
  std::string group;
  PatternResult result;
};
// By name. `group_of`: by SequenceScore::sequence.
std::vector<GroupResult> results_by_group(std::span<const SequenceScore> scores,
                                          std::span<const std::string> group_of);

// The sums of each group as one score: an estimate from them has the error of drawing groups, not sequences.
// By name; for two models of one holdout, in the same order.
std::vector<SequenceScore> sums_by_group(std::span<const SequenceScore> scores,
                                         std::span<const std::string> group_of);

}  // namespace esmscale::eval
