// `train --ranks N`: the ranks of one node as local processes.
#pragma once

#include <string>
#include <vector>

namespace esmscale::dist {

// Starts this program `ranks` times with `arguments`, tells each its place (placement.h) and serves their
// store; rank 0's stdout is ours. SIGTERM, SIGINT and SIGUSR1 go on to every rank, a repeat within 2 s does
// not; each rank has a process group of its own, so a terminal's Ctrl-C comes by this way only. When one rank
// fails, the others are told why, then killed. Returns the program's exit code: 0, 85 when stopped, else that
// of the first rank that failed (1 when it was killed).
int launch_ranks(int ranks, const std::vector<std::string>& arguments);

}  // namespace esmscale::dist
