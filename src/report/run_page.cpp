#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/core/version.h"
#include "esmscale/report/run_report.h"
#include "esmscale/run/environment.h"
#include "report/html.h"
#include "report/plots/run_plots.h"
#include "report/run_summary.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

constexpr const char* kWatched = "<!-- esmscale report --watch -->\n";  // the end of a watched page

std::string folded(const std::string& title, const std::string& content) {
  return text("<details><summary>", escaped(title), "</summary><pre>", escaped(content),
              "</pre></details>\n");
}

std::string heading(const std::vector<study::RunView>& runs) {
  const auto count = [&](study::ViewState state) {
    return std::count_if(runs.begin(), runs.end(), [&](const study::RunView& r) { return r.state == state; });
  };
  std::vector<std::string> facts;
  for (const auto& [state, name] : EnumNames<study::ViewState>::table)
    if (const auto number = count(state); number > 0) facts.push_back(text(number, " ", name));
  const std::string title = runs.size() == 1 ? runs.front().name : text(runs.size(), " runs");
  return text("<h1>", escaped(title), "</h1><p class=\"soft\">", escaped(join(facts, " · ")), " · written ",
              run::utc_text(run::seconds_since_1970()), "</p>\n");
}

std::string summary_section(const std::vector<study::RunView>& runs) {
  const Summary shown = summary_of(runs, /*exact=*/false);
  return section("Summary",
                 paragraph("Losses are in nats, at the newest line of each run. Skipped: logged steps whose "
                           "gradient was not finite.") +
                     shown.html() + folded("CSV, full precision", summary_of(runs, /*exact=*/true).csv()) +
                     folded("Markdown", shown.markdown()));
}

std::string curves_of(const std::vector<study::RunView>& runs) {
  std::string out;
  for (const PlotGroup& group : run_plots(runs)) out += section(group.title, figures(group.plots));
  return out;
}

std::string differences_section(const std::vector<study::RunView>& runs) {
  if (runs.size() < 2) return {};
  const Summary differences = differences_of(runs);
  return section("What differs", differences.rows.empty()
                                     ? paragraph("Configuration, data and build are the same in all runs.")
                                     : differences.html());
}

std::string configurations(const std::vector<study::RunView>& runs) {
  std::string out;
  for (const study::RunView& run : runs) {
    std::string facts;
    for (const auto& [key, value] : study::facts_of(run)) facts += text(key, ": ", value, "\n");
    out += folded(run.path.string(), facts);
  }
  return section("Configurations", out);
}

}  // namespace

std::string run_page(const std::vector<study::RunView>& runs, std::optional<int> watch_seconds) {
  return page(runs.size() == 1 ? runs.front().name : text(runs.size(), " runs"),
              heading(runs) + summary_section(runs) + curves_of(runs) + differences_section(runs) +
                  configurations(runs) + text("<footer>esmscale ", version(), " (", revision(), ")</footer>"),
              watch_seconds.value_or(0)) +
         (watch_seconds ? kWatched : "");
}

bool is_watched_page(const std::filesystem::path& file) {
  return std::filesystem::is_regular_file(file) && read_file(file).ends_with(kWatched);
}

}  // namespace esmscale::report
