#include "study/liveness.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

fs::path lease_file(const fs::path& folder) {
  return folder / "lease.json";
}

std::string slurm_job() {
  const char* job = ::getenv("SLURM_JOB_ID");
  return job ? job : "";
}

}  // namespace

LockState probe_lock(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return LockState::free;
  const bool is_taken = ::flock(descriptor, LOCK_SH | LOCK_NB) == 0;
  const int problem = is_taken ? 0 : errno;
  ::close(descriptor);
  if (is_taken) return LockState::free;
  return problem == EWOULDBLOCK ? LockState::held : LockState::unsupported;
}

bool Lease::is_ours() const {
  return host == run::host_name() || (!job.empty() && job == slurm_job());
}

bool Lease::is_fresh() const {
  return std::abs(run::seconds_since_1970() - renewed) < double(kLeaseEnd.count());
}

Lease lease_of_this_process() {
  return {.host = run::host_name(), .job = slurm_job(), .renewed = run::seconds_since_1970()};
}

Lease read_lease(const fs::path& folder) {
  try {
    if (!fs::exists(lease_file(folder))) return {};
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

bool is_run_by_someone(const fs::path& study_folder) {
  const LockState lock = probe_lock(study_folder / "lock");
  if (lock == LockState::held) return true;
  const Lease lease = read_lease(study_folder);
  return lease.is_fresh() && (lock == LockState::unsupported || !lease.is_ours());
}

HeldLease::HeldLease(fs::path folder) : folder_(std::move(folder)) {
  const Lease other = read_lease(folder_);
  if (other.is_fresh() && !other.is_ours())
    throw Error(
        {.where = folder_.string(),
         .expected = "a study that no other process runs",
         .found = text("the host ", other.host, other.job.empty() ? "" : " (SLURM job " + other.job + ")",
                       " at work on it"),
         .advice = text("wait for it; when it is lost, its lease ends within ", kLeaseEnd.count(), " s")});
  renew();
}

HeldLease::~HeldLease() {
  std::error_code ignored;
  fs::remove(lease_file(folder_), ignored);
}

void HeldLease::renew() {
  const auto now = std::chrono::steady_clock::now();
  if (renewed_ != std::chrono::steady_clock::time_point{} && now - renewed_ < kLeaseRenewal) return;
  renewed_ = now;
  write_lease(folder_, lease_of_this_process());
}

}  // namespace esmscale::study
