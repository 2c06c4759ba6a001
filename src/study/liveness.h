// Is a process at work on a run or a study? Its lock says so. On file systems where locks do not work or do
// not reach other nodes, a lease says so: a file that is renewed for as long as the process works.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace esmscale::study {

enum class LockState { free, held, unsupported };
// Takes the lock for a moment, shared, and follows no link. A file that is not there is free.
LockState probe_lock(const std::filesystem::path& file);

// DIR/lease.json: the host, the SLURM job ("" outside SLURM) and the time of the last renewal.
struct Lease {
  std::string host, job;
  double renewed = 0;  // seconds since 1970

  bool is_ours() const;  // this host's, or this SLURM job's after a requeue on another host
  bool is_fresh() const;
};
inline constexpr std::chrono::seconds kLeaseRenewal{20}, kLeaseEnd{120};

Lease lease_of_this_process();
// {} when there is none, or none that can be read: nobody renews it then.
Lease read_lease(const std::filesystem::path& folder);
void write_lease(const std::filesystem::path& folder, const Lease& lease);

// Its lock is held, or another host renews its lease.
bool is_run_by_someone(const std::filesystem::path& study_folder);

// Renews the lease of a folder, and removes it at the end. Error when another host renews it.
class HeldLease {
 public:
  explicit HeldLease(std::filesystem::path folder);
  ~HeldLease();
  HeldLease(const HeldLease&) = delete;
  HeldLease& operator=(const HeldLease&) = delete;

  void renew();  // when it is due; cheap to call often

 private:
  std::filesystem::path folder_;
  std::chrono::steady_clock::time_point renewed_{};
};

}  // namespace esmscale::study
