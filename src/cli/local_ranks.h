// --ranks N|auto: this program again, once for each rank of this machine.
#pragma once

#include "cli/verb.h"
#include "esmscale/train/process/device_choice.h"

#include <string>
#include <vector>

namespace esmscale::cli {

// The value of --ranks; 0 when it was not given. auto takes a rank for each GPU that `device` leaves in use.
int local_ranks(const std::string& value, train::DeviceChoice device);

// Processes beyond a machine's processors and GPUs wait for each other, and each takes hundreds of megabytes.
void require_few_processes(int ranks);
void warn_of_many_processes(int ranks);  // in a plan, which may be for another machine

// The command line of one rank: without --ranks, with its share of the threads.
std::vector<std::string> arguments_of_rank(const Program& program, int ranks);

}  // namespace esmscale::cli
