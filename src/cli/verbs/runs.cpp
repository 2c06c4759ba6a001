// esmscale runs: the runs in a folder and their state.
#include "cli/verb.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/runs/run_view.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

Json to_json(const study::RunView& run) {
  const auto whole = [](double value) { return std::isfinite(value) ? Json(int64_t(value)) : Json(); };
  return {{"path", run.path.string()},
          {"state", enum_name(run.state)},
          {"step", whole(run.step)},
          {"tokens", whole(run.tokens)},
          {"planned_tokens", whole(run.planned_tokens)},
          {"loss", number_or_null(run.loss)},
          {"tokens_per_second", number_or_null(run.tokens_per_second)},
          {"seconds_left", number_or_null(run.seconds_left)},
          {"stopped_by", run.stopped_by.empty() ? Json() : Json(run.stopped_by)}};
}

// The last batch may go beyond the planned tokens.
std::string share_done(const study::RunView& run) {
  return fixed(100 * std::min(1.0, run.tokens / run.planned_tokens), 0) + "%";
}

void print_table(std::ostream& out, const std::vector<study::RunView>& runs) {
  const auto or_dash = [](double value, const std::string& shown) {
    return std::isfinite(value) ? shown : "–";
  };
  Table table({"run", "state", "step", "tokens", "done", "loss", "tokens/s", "left"}, 2);
  for (const study::RunView& run : runs)
    table.add({run.path.string(), std::string(enum_name(run.state)), or_dash(run.step, fixed(run.step, 0)),
               or_dash(run.tokens, human_count(run.tokens)),
               or_dash(run.tokens / run.planned_tokens, share_done(run)),
               or_dash(run.loss, fixed(run.loss, 4)),
               or_dash(run.tokens_per_second, human_count(run.tokens_per_second)),
               or_dash(run.seconds_left, human_duration(run.seconds_left))});
  out << table.str();
  for (const study::RunView& run : runs)
    if (!run.stopped_by.empty()) out << one_line(text(run.path.string(), ": ", run.stopped_by)) << "\n";
}

int list_runs(const Program& program, const std::string& folder) {
  std::vector<study::RunView> runs;
  for (const std::filesystem::path& path : study::find_runs(folder)) runs.push_back(study::view_run(path));
  if (!program.json) {
    print_table(program.out, runs);
    return 0;
  }
  Json listed = Json::array();
  for (const study::RunView& run : runs) listed.push_back(to_json(run));
  program.print({{"runs", std::move(listed)}});
  return 0;
}

}  // namespace

void add_runs(CLI::App& app, Program& program) {
  auto folder = std::make_shared<std::string>("runs");
  CLI::App* verb = program.add_verb(
      app, "runs", "Lists runs: state, loss, rate, time left, what stopped them", "esmscale runs runs");
  verb->add_option("DIR", *folder, "A run, or a folder with runs in it, such as a study")
      ->capture_default_str();
  verb->callback(
      [&program, folder] { program.action = [&program, folder] { return list_runs(program, *folder); }; });
}

}  // namespace esmscale::cli
