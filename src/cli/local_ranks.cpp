#include "cli/local_ranks.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/train/process/device.h"

#include <algorithm>
#include <charconv>
#include <thread>

namespace esmscale::cli {
namespace {

int most_processes() {
  constexpr int kMostGpus = 16;
  return std::max(kMostGpus, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

int local_ranks(const std::string& value, train::DeviceChoice device) {
  if (value.empty()) return 0;
  if (value == "auto") return train::ranks_of_machine(device);
  int ranks = 0;
  const char* end = value.data() + value.size();
  const auto [stop, problem] = std::from_chars(value.data(), end, ranks);
  if (problem != std::errc() || stop != end || ranks < 1 || ranks > 1024)
    throw usage_error({.where = "--ranks", .expected = "auto, or 1 to 1024", .found = value});
  return ranks;
}

void require_few_processes(int ranks) {
  const int most = most_processes();
  if (ranks > most)
    throw usage_error({.where = "--ranks",
                       .expected = text("at most ", most, " processes on this machine"),
                       .found = std::to_string(ranks),
                       .advice = "--dry-run counts for more; scripts/slurm starts them on several machines"});
}

void warn_of_many_processes(int ranks) {
  if (ranks > most_processes())
    log_warning("--ranks ", ranks, ": this machine starts at most ", most_processes(),
                " processes and would refuse the run; scripts/slurm starts them on several machines");
}

std::vector<std::string> arguments_of_rank(const Program& program, int ranks) {
  std::vector<std::string> arguments;
  for (size_t i = 0; i < program.command_line.size(); ++i) {
    const std::string& argument = program.command_line[i];
    if (argument == "--ranks")
      ++i;
    else if (!argument.starts_with("--ranks="))
      arguments.push_back(argument);
  }
  const int threads = program.threads > 0 ? program.threads : std::max(1, program.thread_count() / ranks);
  arguments.push_back("--threads=" + std::to_string(threads));
  return arguments;
}

}  // namespace esmscale::cli
