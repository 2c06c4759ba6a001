// Shows that a process works in the folder of a run or a study. A lock shows it; where locks do not work, or
// do not reach other nodes, a lease does: a file that the process renews for as long as it works.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

namespace esmscale::run {

// DIR/lease.json: the host, the SLURM job ("" outside SLURM) and the time of the last renewal.
struct Lease {
  std::string host, job;
  double renewed = 0;  // seconds since 1970

  bool is_ours() const;  // this host's, or this SLURM job's after a requeue on another host
  bool is_fresh() const;
};
inline constexpr std::chrono::seconds kLeaseRenewal{20}, kLeaseEnd{120};

Lease lease_of_this_process();
// {} when there is none, or none that can be read: such a lease is not renewed.
Lease read_lease(const std::filesystem::path& folder);
void write_lease(const std::filesystem::path& folder, const Lease& lease);
std::filesystem::path lease_file(const std::filesystem::path& folder);

// True if DIR/lock is held, or if the lease is fresh and another host's (any process's where locks do not
// work).
bool is_in_use(const std::filesystem::path& folder);

// Waits for the end of a lease that another host left, at most kLeaseEnd. Error when it is renewed meanwhile.
void wait_for_lease(const std::filesystem::path& folder, bool holds_lock);

// Renews the lease of a folder, on a thread of its own, and removes it at the end.
class HeldLease {
 public:
  // Error when the lease is another's and fresh. `holds_lock`: this process holds DIR/lock.
  HeldLease(std::filesystem::path folder, bool holds_lock);
  ~HeldLease();
  HeldLease(const HeldLease&) = delete;
  HeldLease& operator=(const HeldLease&) = delete;

 private:
  void renew(const std::stop_token& stop) const;

  std::filesystem::path folder_;
  std::jthread renewing_;
};

}  // namespace esmscale::run
