#include "esmscale/eval/groups.h"

#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"

#include <cmath>
#include <map>
#include <unordered_map>

namespace esmscale::eval {
namespace {

std::map<std::string, std::vector<SequenceScore>> by_group(std::span<const SequenceScore> scores,
                                                           std::span<const std::string> group_of) {
  std::map<std::string, std::vector<SequenceScore>> groups;
  for (const SequenceScore& score : scores)
    groups[group_of[static_cast<size_t>(score.sequence)]].push_back(score);
  return groups;
}

// Each group as one score: an estimate from these has the error of drawing groups.
std::vector<SequenceScore> sums_by_group(std::span<const SequenceScore> scores,
                                         std::span<const std::string> group_of) {
  std::vector<SequenceScore> sums;
  for (const auto& [group, members] : by_group(scores, group_of)) {
    SequenceScore& sum = sums.emplace_back(SequenceScore{.sequence = members.front().sequence});
    for (const SequenceScore& member : members) sum += member;
  }
  return sums;
}

LossEstimate with_enough(LossEstimate estimate, size_t draws) {
  if (int64_t(draws) < kLeastForError) estimate.error = NAN;
  return estimate;
}

std::unordered_map<std::string, std::string> groups_in(const CsvTable& table, const std::string& column) {
  const size_t name = table.at("identifier"), group = table.at(column);
  std::unordered_map<std::string, std::string> groups;
  for (const CsvRow& row : table.rows()) {
    const auto [place, is_new] = groups.try_emplace(row.cells[name], row.cells[group]);
    if (!is_new && place->second != row.cells[group])
      throw Error({.where = table.place(row, group),
                   .expected = text("one group of ", row.cells[name], ", ", place->second, " above"),
                   .found = row.cells[group]});
  }
  return groups;
}

}  // namespace

std::vector<std::string> read_groups(const std::filesystem::path& table, const std::string& column,
                                     const data::Dataset& holdout) {
  const std::unordered_map<std::string, std::string> groups = groups_in(CsvTable::of_file(table), column);
  data::SequenceReader reader(holdout);
  std::vector<std::string> group_of;
  bool has_any = false;
  for (int64_t i = 0; i < holdout.sequences(); ++i) {
    const auto found = groups.find(reader.identifier(i));
    group_of.push_back(found == groups.end() || found->second.empty() ? kNoGroup : found->second);
    has_any = has_any || found != groups.end();
  }
  if (!has_any)
    throw Error({.where = table.string(),
                 .expected = text("identifiers of ", holdout.folder().string()),
                 .found = text("none of its ", holdout.sequences(), " sequences")});
  return group_of;
}

std::vector<GroupResult> results_by_group(std::span<const SequenceScore> scores,
                                          std::span<const std::string> group_of) {
  std::vector<GroupResult> results;
  for (const auto& [group, members] : by_group(scores, group_of)) {
    PatternResult result = summarise(members);
    result.loss = with_enough(result.loss, members.size());
    result.below_baseline = with_enough(result.below_baseline, members.size());
    results.push_back({group, result});
  }
  return results;
}

std::vector<GroupDifference> differences_by_group(std::span<const SequenceScore> a,
                                                  std::span<const SequenceScore> b,
                                                  std::span<const std::string> group_of) {
  paired_difference(a, b);  // requires the same sequences
  const auto groups_a = by_group(a, group_of), groups_b = by_group(b, group_of);
  std::vector<GroupDifference> results;
  for (const auto& [group, members] : groups_a) {
    const LossEstimate difference = paired_difference(members, groups_b.at(group));
    results.push_back({group, int64_t(members.size()), with_enough(difference, members.size())});
  }
  return results;
}

LossEstimate loss_over_groups(std::span<const SequenceScore> scores, std::span<const std::string> group_of) {
  const std::vector<SequenceScore> sums = sums_by_group(scores, group_of);
  return with_enough(summarise(sums).loss, sums.size());
}

LossEstimate difference_over_groups(std::span<const SequenceScore> a, std::span<const SequenceScore> b,
                                    std::span<const std::string> group_of) {
  const std::vector<SequenceScore> sums = sums_by_group(a, group_of);
  return with_enough(paired_difference(sums, sums_by_group(b, group_of)), sums.size());
}

}  // namespace esmscale::eval
