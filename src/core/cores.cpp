#include "esmscale/core/cores.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <thread>

#include <sched.h>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

// The number that a text begins with, as SLURM_STEP_TASKS_PER_NODE = "4(x2),3" does; 0: none.
int leading_count(const char* value) {
  int number = 0;
  if (value) std::from_chars(value, value + std::string_view(value).size(), number);
  return std::max(number, 0);
}

// Beyond 1024 cores the system refuses a set of the usual size.
int cores_of_mask(int machine) {
  for (int most = std::max(machine, 1024); most <= (1 << 16); most *= 2) {
    cpu_set_t* mask = CPU_ALLOC(static_cast<size_t>(most));
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(most));
    const int count = ::sched_getaffinity(0, bytes, mask) == 0 ? CPU_COUNT_S(bytes, mask) : 0;
    CPU_FREE(mask);
    if (count > 0) return count;
  }
  return machine;
}

// Cores' worth of one control group: "QUOTA PERIOD" in version 2, two files in version 1.
std::optional<double> quota_in(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream both(group / "cpu.max");
  if (both >> quota >> period && quota > 0 && period > 0) return quota / period;
  std::ifstream first(group / "cpu.cfs_quota_us"), second(group / "cpu.cfs_period_us");
  if (first >> quota && second >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

// The least quota of this process's group and of those that hold it.
double quota_of_groups(const fs::path& root) {
  double least = std::numeric_limits<double>::infinity();
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const fs::path top = controllers.empty() ? root / "sys/fs/cgroup" : root / "sys/fs/cgroup/cpu";
    for (fs::path group = fs::path(line.substr(second + 1)).relative_path();; group = group.parent_path()) {
      if (const auto quota = quota_in(top / group)) least = std::min(least, *quota);
      if (group.empty()) break;
    }
  }
  return std::isinf(least) ? 0 : least;
}

std::string cores_text(int count) {
  return text(count, count == 1 ? " core" : " cores");
}

}  // namespace

CoreLimits core_limits(const std::function<const char*(const char*)>& environment, const fs::path& root) {
  CoreLimits limits;
  limits.machine = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  limits.affinity = cores_of_mask(limits.machine);
  limits.quota = quota_of_groups(root);
  limits.slurm = leading_count(environment("SLURM_CPUS_PER_TASK"));
  limits.omp = leading_count(environment("OMP_NUM_THREADS"));
  for (const char* name : {"LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE"})
    if (const int ranks = leading_count(environment(name)); ranks > 0) {
      limits.node_ranks = ranks;
      break;
    }
  return limits;
}

Cores usable_cores(const CoreLimits& limits) {
  Cores cores{.count = std::max(1, limits.machine), .limit = cores_text(limits.machine)};
  const auto lower = [&](double most, const std::string& limit) {
    const int count = std::max(1, static_cast<int>(std::ceil(most - 1e-9)));
    if (count < cores.count) cores = {.count = count, .limit = limit};
  };
  const std::string shared = limits.node_ranks > 1 ? text(" for ", limits.node_ranks, " ranks") : "";
  const int share = limits.affinity / limits.node_ranks;  // whole cores
  const bool is_bound = limits.affinity * limits.node_ranks <= limits.machine;
  if (is_bound)
    lower(limits.affinity, "an affinity mask of " + cores_text(limits.affinity));
  else
    lower(share, cores_text(limits.affinity) + shared);
  if (limits.quota > 0)
    lower(limits.quota / limits.node_ranks, text("a quota of ", fixed(limits.quota, 2), " cores", shared));
  if (limits.slurm > 0) lower(limits.slurm, text("SLURM_CPUS_PER_TASK = ", limits.slurm));
  if (limits.omp > 0) lower(limits.omp, text("OMP_NUM_THREADS = ", limits.omp));
  return cores;
}

Cores usable_cores() {
  return usable_cores(core_limits(::getenv));
}

}  // namespace esmscale
