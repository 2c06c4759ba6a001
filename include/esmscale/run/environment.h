// Host, hardware and software of one start of a run, and the resources that this process uses.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace esmscale::run {

// Facts that the run room cannot find out by itself.
struct EnvironmentFacts {
  std::vector<std::string> command_line;
  std::vector<std::string> devices;  // names; empty on the CPU
  std::string libtorch;              // its version
  int ranks = 1;
  int threads = 1;
  // Hashes of the data sets' manifests: they identify the data of a run, whatever its path; "": no holdout.
  std::string train_hash, holdout_hash;
  int64_t epoch_tokens = 0, unique_tokens = 0;  // these differ for a set with clusters
};

// One start of a run: version, revision, host, CPU, memory, devices, LibTorch, date (UTC), command line,
// data, and the SLURM job when there is one.
Json environment_record(const EnvironmentFacts& facts);

std::string host_name();
std::string cpu_name();
double seconds_since_1970();                      // wall clock
std::string utc_text(double seconds_since_1970);  // "2026-03-09T14:05:07Z"

// The most memory this process has had resident so far, bytes.
double peak_resident_bytes();

}  // namespace esmscale::run
