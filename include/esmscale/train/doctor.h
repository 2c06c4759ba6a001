// `esmscale doctor`: checks what this machine, and ranks that start together, can do.
#pragma once

#include "esmscale/core/enum_names.h"
#include "esmscale/core/json.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/train/process/device_choice.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace esmscale::train {

enum class CheckResult { ok, warning, error };

struct Check {
  std::string name;
  CheckResult result = CheckResult::ok;
  std::string found;
  std::string advice{};  // what to do; empty where all is well
};

// The median of a few calls of one collective between all ranks.
struct CollectiveRate {
  std::string name;  // all-reduce, reduce-scatter, all-gather, broadcast
  int64_t bytes = 0;
  double seconds = 0;
  double bus_bandwidth = 0;  // bytes/s by the count of nccl-tests: what the slowest link carries
};

struct Diagnosis {
  std::vector<Check> checks;
  std::vector<CollectiveRate> collectives;  // none with one rank

  CheckResult worst() const;
};

struct DoctorOptions {
  DeviceChoice device = DeviceChoice::automatic;
  std::filesystem::path folder = ".";  // tests its file system: writes there, and removes what it wrote
  int64_t largest_bytes = 0;           // of a collective; 0: 400 MiB between GPUs, 25 MiB between CPUs
};

// All ranks call it, before any of them has a group, and get the same result: a check names ranks that
// differ.
Diagnosis diagnose(const DoctorOptions& options, dist::Ranks& ranks);

Json to_json(const Diagnosis& diagnosis);
std::string to_text(const Diagnosis& diagnosis);

}  // namespace esmscale::train

namespace esmscale {

template <>
struct EnumNames<train::CheckResult> {
  using enum train::CheckResult;
  static constexpr std::pair<train::CheckResult, std::string_view> table[] = {
      {ok, "ok"}, {warning, "warning"}, {error, "error"}};
};

}  // namespace esmscale
