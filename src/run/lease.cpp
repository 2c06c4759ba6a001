#include "esmscale/run/lease.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"

#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include <nlohmann/json.hpp>

namespace esmscale::run {
namespace {

namespace fs = std::filesystem;

std::string slurm_job() {
  const char* job = ::getenv("SLURM_JOB_ID");
  return job ? job : "";
}

bool is_of_another(const Lease& lease, bool locks_work) {
  return lease.is_fresh() && !(locks_work && lease.is_ours());
}

Error in_use_by(const Lease& other, const fs::path& folder) {
  return Error(
      {.where = folder.string(),
       .expected = "a folder that no other process uses",
       .found = text("the host ", other.host, other.job.empty() ? "" : " (SLURM job " + other.job + ")",
                     " at work in it"),
       .advice = text("wait for it; when it is lost, its lease ends within ", kLeaseEnd.count(), " s")});
}

}  // namespace

fs::path lease_file(const fs::path& folder) {
  return folder / "lease.json";
}

bool Lease::is_ours() const {
  return host == host_name() || (!job.empty() && job == slurm_job());
}

bool Lease::is_fresh() const {
  return std::abs(seconds_since_1970() - renewed) < double(kLeaseEnd.count());
}

Lease lease_of_this_process() {
  return {.host = host_name(), .job = slurm_job(), .renewed = seconds_since_1970()};
}

Lease read_lease(const fs::path& folder) {
  try {
    std::error_code ignored;  // of a folder that cannot be searched
    if (!fs::exists(lease_file(folder), ignored)) return {};
    const JsonReader json = JsonReader::of_file(lease_file(folder));
    return {.host = json.text("host"), .job = json.text("job"), .renewed = json.number("renewed")};
  } catch (const Error&) {
    return {};
  }
}

void write_lease(const fs::path& folder, const Lease& lease) {
  const Json json{{"host", lease.host}, {"job", lease.job}, {"renewed", lease.renewed}};
  write_file(lease_file(folder), esmscale::to_text(json) + "\n");
}

bool is_in_use(const fs::path& folder) {
  const LockState lock = probe_lock(folder / "lock");
  return lock == LockState::held || is_of_another(read_lease(folder), lock != LockState::unsupported);
}

void wait_for_lease(const fs::path& folder, bool holds_lock) {
  const Lease first = read_lease(folder);
  if (!is_of_another(first, holds_lock)) return;
  log_warning(folder.string(), ": host ", first.host, " worked in it less than ", kLeaseEnd.count(),
              " s ago: waiting for its lease to end");
  for (Lease now = first; is_of_another(now, holds_lock); now = read_lease(folder)) {
    if (now.renewed != first.renewed) throw in_use_by(now, folder);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

HeldLease::HeldLease(fs::path folder, bool holds_lock) : folder_(std::move(folder)) {
  if (const Lease other = read_lease(folder_); is_of_another(other, holds_lock))
    throw in_use_by(other, folder_);
  write_lease(folder_, lease_of_this_process());
  renewing_ = std::jthread([this](const std::stop_token& stop) { renew(stop); });
}

HeldLease::~HeldLease() {
  renewing_ = {};
  std::error_code ignored;
  fs::remove(lease_file(folder_), ignored);
}

void HeldLease::renew(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any never;
  for (std::unique_lock lock(mutex);;) {
    never.wait_for(lock, stop, kLeaseRenewal, [] { return false; });
    if (stop.stop_requested()) return;
    try {
      write_lease(folder_, lease_of_this_process());
    } catch (const Error&) {
      continue;  // a full disk: the next renewal may succeed before the lease ends
    }
  }
}

}  // namespace esmscale::run
