#include "report/run_summary.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/assays/result.h"
#include "esmscale/core/csv.h"
#include "esmscale/core/text.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace esmscale::report {
namespace {

// Logged steps whose update was skipped: a norm that is not finite is written as null.
int64_t skipped_steps(const study::RunView& run) {
  return std::count_if(run.lines.begin(), run.lines.end(), [](const Json& line) {
    const auto norm = line.find("train/grad_norm");
    return norm != line.end() && norm->is_null();
  });
}

double parameters_of(const study::RunView& run) {
  const double logged = study::newest_metric(run.lines, "parameters");
  return std::isnan(logged) && run.state != study::ViewState::damaged
             ? double(accounting::count_parameters(run.config.model).kaplan_non_embedding)
             : logged;
}

std::string without_bars(const std::string& cell) {
  std::string out;
  for (const char c : one_line(cell)) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}

// A column an assay, "0.412 ± 0.011"; for CSV one for the coefficient and one for its error. They come before
// the reasons of the stops, which are long.
void add_assays(const std::vector<study::RunView>& runs, bool exact, Summary& summary) {
  const auto insert = [](std::vector<std::string>& row, std::string cell) {
    row.insert(row.end() - 1, std::move(cell));
  };
  const auto number = [](double value) { return std::isfinite(value) ? significant(value, 17) : ""; };
  for (const std::string& assay : study::assays_of(runs)) {
    insert(summary.header, text("Spearman, ", assay));
    if (exact) insert(summary.header, text("its error, ", assay));
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto newest = [&](const char* key) {
        return study::newest_metric(runs[i].lines, assays::metric_key(assay, key));
      };
      const assays::RankEstimate found{newest("spearman"), newest("spearman_error")};
      if (exact) {
        insert(summary.rows[i], number(found.value));
        insert(summary.rows[i], number(found.error));
      } else {
        insert(summary.rows[i], std::isfinite(found.value) ? assays::to_text(found) : "–");
      }
    }
  }
}

}  // namespace

std::string Summary::html() const {
  HtmlTable table(header, 2, /*text_last=*/true);
  for (const auto& row : rows) table.add(row);
  return table.html();
}

std::string Summary::csv() const {
  std::string out = csv_line(header);
  for (const auto& row : rows) out += csv_line(row);
  return out;
}

std::string Summary::markdown() const {
  const auto line = [](const std::vector<std::string>& cells) {
    std::string out = "|";
    for (const std::string& cell : cells) out += text(" ", without_bars(cell), " |");
    return out + "\n";
  };
  std::string out = line(header) + line(std::vector<std::string>(header.size(), "---"));
  for (const auto& row : rows) out += line(row);
  return out;
}

Summary summary_of(const std::vector<study::RunView>& runs, bool exact) {
  Summary summary{
      .header = {"run", "state", "step", "tokens", "N", "FLOPs", "training loss", "holdout loss",
                 "standard error", "mask only", "tokens/s", "MFU", "memory", "skipped", "stopped by"},
      .rows = {}};
  const auto cell = [exact](double value, const auto& shown) {
    if (!std::isfinite(value)) return std::string(exact ? "" : "–");
    return exact ? significant(value, 17) : std::string(shown(value));
  };
  const auto loss = [](double value) { return fixed(value, 4); };
  for (const study::RunView& run : runs) {
    const auto newest = [&](const char* key) { return study::newest_metric(run.lines, key); };
    summary.rows.push_back(
        {run.name, std::string(enum_name(run.state)), cell(run.step, [](double v) { return fixed(v, 0); }),
         cell(run.tokens, human_count), cell(parameters_of(run), human_count),
         cell(newest("flops"), [](double v) { return scientific(v, 2); }), cell(newest("train/loss"), loss),
         cell(newest("eval/loss"), loss), cell(newest("eval/standard_error"), loss),
         cell(newest("eval/loss_mask_only"), loss), cell(run.tokens_per_second, human_count),
         cell(newest("train/mfu"), [](double v) { return fixed(100 * v, 1) + "%"; }),
         cell(newest("memory_bytes"), human_bytes), text(skipped_steps(run)), run.stopped_by});
  }
  add_assays(runs, exact, summary);
  return summary;
}

Summary differences_of(const std::vector<study::RunView>& runs) {
  std::vector<std::string> order;
  std::vector<std::map<std::string, std::string>> facts;
  for (const study::RunView& run : runs) {
    facts.emplace_back();
    for (const auto& [key, value] : study::facts_of(run)) {
      if (std::find(order.begin(), order.end(), key) == order.end()) order.push_back(key);
      facts.back()[key] = value;
    }
  }
  Summary differences{.header = {"run"}, .rows = {}};
  for (const std::string& key : order) {
    std::set<std::string> values;
    for (const auto& own : facts) values.insert(own.contains(key) ? own.at(key) : "");
    if (values.size() > 1) differences.header.push_back(key);
  }
  if (differences.header.size() == 1) return differences;
  for (size_t i = 0; i < runs.size(); ++i) {
    std::vector<std::string> row{runs[i].name};
    for (size_t k = 1; k < differences.header.size(); ++k) row.push_back(facts[i][differences.header[k]]);
    differences.rows.push_back(std::move(row));
  }
  return differences;
}

}  // namespace esmscale::report
