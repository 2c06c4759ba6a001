// The ranks of one run: they meet, agree, and watch each other. A TCPStore carries small agreements; group()
// carries tensors.
#pragma once

#include "esmscale/dist/group.h"
#include "esmscale/dist/placement.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <c10/core/Device.h>

namespace esmscale::dist {

struct RanksOptions {
  double heartbeat_seconds = 30;            // a rank that is silent for longer ends the run
  double collective_timeout_seconds = 600;  // longest wait in one collective or agreement
  bool meet_alone = false;                  // one rank uses store and backend too: for tests of them
};

class Ranks {
 public:
  Ranks();  // one process: agreements return at once
  // Meets the others; Error when they do not come within the limit, or the port is taken.
  Ranks(const Placement& placement, const RanksOptions& options);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const { return placement_.rank; }
  int size() const { return placement_.ranks; }
  int local_rank() const { return placement_.local_rank; }
  bool is_first() const { return rank() == 0; }

  // All ranks call these in the same order; each waits for the others. Usage error when another rank is at
  // another topic.
  std::vector<std::string> exchange(std::string_view topic,
                                    const std::string& mine);               // each rank's text
  std::string from_first(std::string_view topic, const std::string& mine);  // rank 0's text
  void barrier(std::string_view topic) { exchange(topic, ""); }
  // Error that names the first rank whose `mine` differs from rank 0's.
  void require_agreement(std::string_view what, const std::string& mine);
  // The same for each of these, by name and value: one exchange where all agree.
  void require_agreements(const std::vector<std::pair<std::string, std::string>>& settings);

  // NCCL for CUDA, Gloo for the CPU; connected by the first call, which all ranks make.
  Group& group(const c10::Device& device);

  // Reports to the others why this rank ends, so that they end too and name the reason. False when another
  // rank has reported the same words before: one report of what all ranks find is enough.
  bool fail(const std::string& reason) noexcept;
  // Why the run ends: the reason that a rank reported, or the rank that is silent. Waits up to `seconds`.
  // "": nothing is known.
  std::string reason_of_failure(double seconds);
  // The normal end: waits until all ranks are here, and stops the watch.
  void finish();

 private:
  struct Meeting;  // the store and the watch over it; absent in one process
  Placement placement_;
  RanksOptions options_;
  std::unique_ptr<Meeting> meeting_;
  Group group_;
  bool is_connected_ = false;
};

}  // namespace esmscale::dist
