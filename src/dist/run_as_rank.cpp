#include "esmscale/dist/run_as_rank.h"

#include "esmscale/core/error.h"
#include "esmscale/core/exit_code.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"

#include <csignal>
#include <new>

#include <sys/prctl.h>
#include <unistd.h>

namespace esmscale::dist {
namespace {

constexpr double kSecondsForReason = 5;

// The kernel ends this process with its launcher while it connects, when no watch does. A launcher that ended
// before is no longer the parent.
class EndWithLauncher {
 public:
  explicit EndWithLauncher(const Placement& placement) : launcher_(placement.launcher) {
    if (launcher_ == 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launcher_) ::_exit(kFailure);
  }
  ~EndWithLauncher() {
    if (launcher_ != 0) ::prctl(PR_SET_PDEATHSIG, 0);
  }
  EndWithLauncher(const EndWithLauncher&) = delete;
  EndWithLauncher& operator=(const EndWithLauncher&) = delete;

 private:
  int launcher_;
};

// The plan of a batch takes memory of the host apart from tensors, whose allocator has an error of its own.
int within_memory(const std::function<int(Ranks&)>& work, Ranks& ranks) {
  try {
    return work(ranks);
  } catch (const std::bad_alloc&) {
    throw Error({.where = "memory",
                 .expected = "",
                 .found = "out of memory",
                 .advice = "use a smaller train.batch_tokens, train.micro_batch_tokens or model"});
  }
}

int exit_code_of(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  return known ? known->exit_code() : kFailure;
}

}  // namespace

int run_as_rank(const Placement& placement, const RanksOptions& options,
                const std::function<int(Ranks&)>& work, const std::function<std::string()>& advice) {
  // The launcher prints the error of its ranks; nobody else does.
  if (placement.launcher != 0) begin_mapping_errors_with(text("rank ", placement.rank, ": "));
  std::unique_ptr<Ranks> ranks;
  {
    const EndWithLauncher while_connecting(placement);
    ranks = std::make_unique<Ranks>(placement, options);
  }
  try {
    const int status = within_memory(work, *ranks);
    ranks->finish();
    return status;
  } catch (const PeerLost& error) {
    const std::string reason = ranks->reason_of_failure(kSecondsForReason);
    log_error_to_file(text("the run ends: ", reason.empty() ? error.what() : reason));
    if (reason.empty()) ranks->fail(error.what());
    if (placement.launcher != 0) return kFailure;
    if (reason.empty()) throw;
    throw Error({.where = text("rank ", ranks->rank()),
                 .expected = "all ranks to run to the end",
                 .found = reason,
                 .advice = advice()});
  } catch (const std::exception& error) {
    const std::string reason(first_line(error.what()));
    log_error_to_file(text("the run ends: ", reason));
    const bool is_new = ranks->fail(reason);
    if (!is_new || placement.launcher != 0) return exit_code_of(error);
    throw;
  }
}

}  // namespace esmscale::dist
