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

// The least number of sequences in a group, or of groups, from which a standard error is given; NaN below.
inline constexpr int64_t kLeastForError = 10;

// All of these are by name, with `group_of` by SequenceScore::sequence.
struct GroupResult {
  std::string group;
  PatternResult result;
};
std::vector<GroupResult> results_by_group(std::span<const SequenceScore> scores,
                                          std::span<const std::string> group_of);

// a − b, paired by sequence within each group; of two models on one holdout. Below, a and b are of the same
// sequences in one order, with the same masks, else an Error.
struct GroupDifference {
  std::string group;
  int64_t sequences;
  LossEstimate difference;
};
std::vector<GroupDifference> differences_by_group(std::span<const SequenceScore> a,
                                                  std::span<const SequenceScore> b,
                                                  std::span<const std::string> group_of);

// The loss, and the difference a − b, of the whole holdout with the error of drawing groups, not sequences.
LossEstimate loss_over_groups(std::span<const SequenceScore> scores, std::span<const std::string> group_of);
LossEstimate difference_over_groups(std::span<const SequenceScore> a, std::span<const SequenceScore> b,
                                    std::span<const std::string> group_of);

}  // namespace esmscale::eval
