// Processor cores that this process may use: a machine's cores are often shared out by an affinity mask, a
// quota of a container, or a scheduler.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace esmscale {

struct CoreLimits {
  int machine = 1;     // cores of the machine
  int affinity = 1;    // cores of this process's affinity mask (taskset, srun's binding)
  double quota = 0;    // cores' worth of time that the control group gets; 0: no quota
  int slurm = 0;       // SLURM_CPUS_PER_TASK; 0: not set
  int omp = 0;         // OMP_NUM_THREADS; 0: not set
  int node_ranks = 1;  // ranks on this node that share mask and quota
};

// `environment` as std::getenv; `root` holds proc/ and sys/. Values that are no counts are ignored.
CoreLimits core_limits(const std::function<const char*(const char*)>& environment,
                       const std::filesystem::path& root = "/");

struct Cores {
  int count = 1;      // threads for this process: at least 1
  std::string limit;  // what sets the count, for people: "12 cores", "an affinity mask of 1 core"
};

// The least of what the limits allow. OMP_NUM_THREADS and SLURM_CPUS_PER_TASK count for one process. The mask
// and the quota are divided among the node's ranks, except a mask that binds each rank to cores of its own.
Cores usable_cores(const CoreLimits& limits);
Cores usable_cores();  // of this process

}  // namespace esmscale
