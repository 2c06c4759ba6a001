#include "esmscale/eval/groups.h"

#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"

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
  for (const auto& [group, members] : by_group(scores, group_of))
    results.push_back({group, summarise(members)});
  return results;
}

std::vector<SequenceScore> sums_by_group(std::span<const SequenceScore> scores,
                                         std::span<const std::string> group_of) {
  std::vector<SequenceScore> sums;
  for (const auto& [group, members] : by_group(scores, group_of)) {
    SequenceScore& sum = sums.emplace_back(SequenceScore{.sequence = members.front().sequence});
    for (const SequenceScore& member : members) sum += member;
  }
  return sums;
}

}  // namespace esmscale::eval
