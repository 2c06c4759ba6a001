// esmscale doctor: what this machine, and ranks started together, can do.
#include "esmscale/train/doctor.h"

#include "cli/device_flag.h"
#include "cli/local_ranks.h"
#include "cli/verb.h"
#include "esmscale/core/exit_code.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/dist/launcher.h"
#include "esmscale/dist/run_as_rank.h"
#include "esmscale/train/process/process_setup.h"

#include <cstdlib>
#include <memory>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options : train::DoctorOptions {
  std::string ranks, largest;
};

void report(const Program& program, const train::Diagnosis& diagnosis) {
  if (program.json)
    program.print(train::to_json(diagnosis));
  else
    program.out << train::to_text(diagnosis);
}

// kFailure, or for our own launcher kFaultFound, when a check ended with an error.
int examine(const Program& program, const Options& options, const dist::Placement& placement,
            dist::Ranks& ranks) {
  train::Diagnosis diagnosis = train::diagnose(options, ranks);
  diagnosis.checks.insert(diagnosis.checks.begin(), {.name = "program", .found = version_text()});
  if (ranks.is_first()) report(program, diagnosis);
  if (diagnosis.worst() != train::CheckResult::error) return 0;
  return placement.launcher != 0 ? dist::kFaultFound : kFailure;
}

int doctor(const Program& program, Options options) {
  if (!options.largest.empty()) options.largest_bytes = parse_size(options.largest, "--largest");
  const int local = local_ranks(options.ranks, options.device);
  require_few_processes(local);
  const auto advice = [] { return std::string("run it with fewer ranks, or with one"); };
  int status = 0;
  if (local > 1) {
    status = dist::launch_ranks(local, arguments_of_rank(program, local), advice);
  } else {
    const dist::Placement placement = local > 0 ? dist::Placement{} : dist::find_placement(::getenv);
    if (local == 0) dist::require_all_tasks(placement, ::getenv);
    train::set_up_process(program.thread_count());
    const auto work = [&](dist::Ranks& ranks) { return examine(program, options, placement, ranks); };
    status = dist::run_as_rank(placement, {}, work, advice);
  }
  const bool is_rank_of_launcher = std::getenv(dist::kLauncherVariable) != nullptr;
  return status == dist::kFaultFound && !is_rank_of_launcher ? kFailure : status;
}

}  // namespace

void add_doctor(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "doctor",
                       "What this machine can do, and what the ranks that are started together can do: under "
                       "srun or torchrun, or with --ranks N",
                       "esmscale doctor --ranks auto");
  add_device_flag(*verb, options->device);
  verb->add_option("--output", options->folder,
                   "Folder of the file system that runs will be on; something is written there and removed")
      ->capture_default_str();
  verb->add_option("--ranks", options->ranks, "Number of local processes, or auto: one per GPU");
  verb->add_option(
      "--largest", options->largest,
      "SIZE of the largest message between ranks; default 400MiB between GPUs, 25MiB between CPUs");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return doctor(program, *options); }; });
}

}  // namespace esmscale::cli
