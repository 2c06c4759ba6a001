#include "cli/verbs/eval_groups.h"

#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/groups.h"
#include "esmscale/eval/report.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

constexpr size_t kMostShown = 40;  // groups in a table for people
const std::string kWhyUnknown = text("± needs ", eval::kLeastForError, " sequences of a group, or ",
                                     eval::kLeastForError, " groups; it is unknown with fewer\n");

const std::vector<eval::SequenceScore>& scores_of(const eval::Evaluation& evaluation) {
  return evaluation.bert ? evaluation.bert_scores : evaluation.mask_only_scores;
}

// Keeps the groups with the most sequences, by name, and counts the rest.
template <class Row>
std::string keep_largest(std::vector<Row>& rows, const auto& size_of) {
  if (rows.size() <= kMostShown) return "";
  const size_t left = rows.size() - kMostShown;
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Row& x, const Row& y) { return size_of(x) > size_of(y); });
  rows.resize(kMostShown);
  return text(left, " smaller groups are not shown; --json has all\n");
}

}  // namespace

Json groups_json(const eval::Evaluation& evaluation, std::span<const std::string> group_of) {
  Json rows = Json::array();
  for (const eval::GroupResult& group : eval::results_by_group(scores_of(evaluation), group_of)) {
    const eval::PatternResult& r = group.result;
    rows.push_back({{"group", group.group},
                    {"sequences", r.sequences},
                    {"masked", r.masked},
                    {"loss", number_or_null(r.loss.value)},
                    {"standard_error", number_or_null(r.loss.error)},
                    {"below_baseline", number_or_null(r.below_baseline.value)},
                    {"below_baseline_error", number_or_null(r.below_baseline.error)}});
  }
  const double error = eval::loss_over_groups(scores_of(evaluation), group_of).error;
  return {{"groups", std::move(rows)}, {"standard_error_by_group", number_or_null(error)}};
}

void print_groups(std::ostream& out, const eval::Evaluation& evaluation,
                  std::span<const std::string> group_of) {
  std::vector<eval::GroupResult> groups = eval::results_by_group(scores_of(evaluation), group_of);
  const size_t count = groups.size();
  const std::string rest =
      keep_largest(groups, [](const eval::GroupResult& group) { return group.result.sequences; });
  Table table({"group", "sequences", "masked", "loss (nats)", "below frequencies"});
  for (const auto& [group, r] : groups)
    table.add({group, std::to_string(r.sequences), std::to_string(r.masked), eval::to_text(r.loss),
               eval::to_text(r.below_baseline)});
  out << table.str() << rest << kWhyUnknown << "over " << count
      << " groups, with the error of drawing groups: "
      << eval::to_text(eval::loss_over_groups(scores_of(evaluation), group_of)) << " nats\n";
}

Json group_differences_json(const eval::Evaluation& a, const eval::Evaluation& b,
                            std::span<const std::string> group_of) {
  Json rows = Json::array();
  for (const eval::GroupDifference& row : eval::differences_by_group(scores_of(a), scores_of(b), group_of))
    rows.push_back({{"group", row.group},
                    {"sequences", row.sequences},
                    {"loss", number_or_null(row.difference.value)},
                    {"standard_error", number_or_null(row.difference.error)}});
  const double error = eval::difference_over_groups(scores_of(a), scores_of(b), group_of).error;
  return {{"groups", std::move(rows)}, {"standard_error_by_group", number_or_null(error)}};
}

void print_group_differences(std::ostream& out, const eval::Evaluation& a, const eval::Evaluation& b,
                             std::span<const std::string> group_of) {
  std::vector<eval::GroupDifference> rows = eval::differences_by_group(scores_of(a), scores_of(b), group_of);
  const std::string rest = keep_largest(rows, [](const eval::GroupDifference& row) { return row.sequences; });
  Table table({"group", "sequences", "a − b (nats)"});
  for (const eval::GroupDifference& row : rows)
    table.add({row.group, std::to_string(row.sequences), eval::to_text(row.difference)});
  out << table.str() << rest << kWhyUnknown << "a − b with the error of drawing groups: "
      << eval::to_text(eval::difference_over_groups(scores_of(a), scores_of(b), group_of)) << " nats\n";
}

}  // namespace esmscale::cli
