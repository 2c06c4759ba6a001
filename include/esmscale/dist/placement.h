// The rank of this process and the number of ranks, from the environment of SLURM, torchrun, Open MPI or our
// own launcher.
#pragma once

#include <functional>
#include <string>

namespace esmscale::dist {

struct Placement {
  int rank = 0;
  int ranks = 1;
  int local_rank = 0;              // among the ranks of this node; −1: not stated
  std::string host = "127.0.0.1";  // where the ranks meet: a TCPStore
  int port = 0;
  bool hosts_store = false;  // this process serves it
  std::string job;           // separates two jobs that share an address
  std::string source;        // who stated it: "torchrun", "Open MPI", "SLURM"; "" for one process
  int launcher = 0;          // process id of launch_ranks() when it started this rank; 0: somebody else did
};

inline constexpr const char* kLauncherVariable = "ESMSCALE_LAUNCHER";

using Environment = std::function<const char*(const char*)>;  // as std::getenv

// RANK and WORLD_SIZE (torchrun, our launcher) win, then OMPI_COMM_WORLD_*, then a SLURM step of several
// tasks; else one process. MASTER_ADDR and MASTER_PORT name the meeting point; within one node they may be
// absent. Usage error when the variables contradict each other or state a rank without the number of ranks,
// or when several nodes have no MASTER_ADDR.
Placement find_placement(const Environment& environment);

// Usage error for one process in a SLURM job of several tasks: srun was forgotten.
void require_all_tasks(const Placement& placement, const Environment& environment);

}  // namespace esmscale::dist
