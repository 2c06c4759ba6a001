// esmscale report: a page of one or many runs.
#include "cli/checks.h"
#include "cli/verb.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/stop_signal.h"
#include "esmscale/report/run_report.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string output;
  bool watch = false, force = false;
  int every = 30;  // seconds
};

// Folders are looked into each time: runs of a study appear one after the other.
std::vector<study::RunView> view_all(const Options& options) {
  std::vector<study::RunView> views;
  for (const std::string& given : options.runs)
    for (const std::filesystem::path& run : study::find_runs(given)) views.push_back(study::view_run(run));
  return views;
}

bool all_finished(const std::vector<study::RunView>& runs) {
  return std::all_of(runs.begin(), runs.end(), [](const study::RunView& run) { return run.is_finished(); });
}

// False when a signal came.
bool wait(int seconds, const StopSignal& stop) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (stop.is_raised()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return true;
}

std::vector<study::RunView> watch(const Options& options) {
  const StopSignal stop;
  for (;;) {
    std::vector<study::RunView> runs = view_all(options);
    const bool is_last = all_finished(runs);
    write_file(options.output, report::run_page(runs, is_last ? 0 : options.every));
    log_info(options.output, ": ", runs.size(), " runs");
    if (is_last || !wait(options.every, stop)) return runs;
  }
}

int write_page(const Program& program, const Options& options) {
  const bool is_own = options.watch && report::is_watched_page(options.output);
  require_output_file(options.output, options.force || is_own);
  std::vector<study::RunView> runs;
  if (options.watch) {
    runs = watch(options);
  } else {
    runs = view_all(options);
    write_file(options.output, report::run_page(runs));
  }
  if (program.json)
    program.print({{"output", options.output}, {"runs", runs.size()}, {"finished", all_finished(runs)}});
  else
    program.out << options.output << ": a page of " << runs.size()
                << (runs.size() == 1 ? " run\n" : " runs\n");
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "report", "One HTML page of runs: curves, summary, and what differs between them",
                       "esmscale report runs/8M --output report.html");
  verb->add_option("RUN", options->runs, "Run folders, or folders with runs in them, such as a study")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--output", options->output, "The page; it needs no other file")->required();
  verb->add_flag("--watch", options->watch,
                 "Write it again and again until all runs are finished, or until Ctrl-C");
  verb->add_option("--every", options->every, "Seconds between two pages of --watch")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  add_force_flag(*verb, options->force);
  verb->callback([&program, options] {
    program.action = [&program, options] { return write_page(program, *options); };
  });
}

}  // namespace esmscale::cli
