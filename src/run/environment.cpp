#include "esmscale/run/environment.h"

#include "esmscale/core/version.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

namespace esmscale::run {
namespace {

// The value of the first "key   : value" line of a file under /proc, or "".
std::string proc_value(const char* file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (const size_t colon = line.find(':'); line.starts_with(key) && colon != std::string::npos) {
      const size_t begin = line.find_first_not_of(" \t", colon + 1);
      return begin == std::string::npos ? "" : line.substr(begin);
    }
  return "";
}

double physical_memory() {
  return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE));
}

}  // namespace

Json environment_record(const EnvironmentFacts& facts) {
  Json record{{"started", utc_text(seconds_since_1970())},
              {"version", version()},
              {"revision", revision()},
              {"libtorch", facts.libtorch},
              {"host", host_name()},
              {"cpu", cpu_name()},
              {"cores", std::thread::hardware_concurrency()},
              {"memory_bytes", physical_memory()},
              {"devices", facts.devices},
              {"ranks", facts.ranks},
              {"threads", facts.threads},
              {"command_line", facts.command_line},
              {"data",
               {{"train", facts.train_hash},
                {"epoch_tokens", facts.epoch_tokens},
                {"unique_tokens", facts.unique_tokens}}}};
  if (!facts.holdout_hash.empty()) record["data"]["holdout"] = facts.holdout_hash;
  if (const char* job = std::getenv("SLURM_JOB_ID")) record["slurm_job"] = job;
  return record;
}

std::string cpu_name() {
  return proc_value("/proc/cpuinfo", "model name");
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string utc_text(double seconds) {
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 32> shown{};
  std::strftime(shown.data(), shown.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return shown.data();
}

double peak_resident_bytes() {
  // ru_maxrss survives exec, so it may be a parent's; VmHWM is this program's own.
  if (const std::string kibibytes = proc_value("/proc/self/status", "VmHWM"); !kibibytes.empty())
    return std::strtod(kibibytes.c_str(), nullptr) * 1024;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

}  // namespace esmscale::run
