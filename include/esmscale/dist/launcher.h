// `train --ranks N`: the ranks of one node as local processes.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace esmscale::dist {

// Exit code of ranks that did their work and found a fault of the machine (`doctor`). launch_ranks() returns
// it.
inline constexpr int kFaultFound = 3;

// Starts this program `ranks` times with `arguments`, states each one's place in its environment
// (placement.h) and serves their store; rank 0's stdout is ours. Stop signals are forwarded to every rank,
// except a repeat within 2 s; each rank has a process group of its own, so a terminal's Ctrl-C reaches it
// through the launcher only. Returns 0, kFaultFound, or 85 when stopped. When a rank fails, the others learn
// why and end, at the latest by a kill; then one Error holds the first reason that was reported, with
// `advice`: a usage error when that rank ended with 2.
int launch_ranks(int ranks, const std::vector<std::string>& arguments,
                 const std::function<std::string()>& advice);

}  // namespace esmscale::dist
