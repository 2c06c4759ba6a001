// Several ranks as threads of one process, over Gloo on this machine.
#pragma once

#include "esmscale/dist/ranks.h"

#include <cstdlib>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace esmscale::dist {

// A meeting point that no rank serves, at a port of its own.
class MeetingPoint {
 public:
  MeetingPoint() {
    // LibTorch's flight recorder is one for the process, and its map of groups is not locked: groups that
    // start on several threads at once damage it. A rank of the program is a process, and has one group.
    ::setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1);
    c10d::TCPStoreOptions options;
    options.isServer = true;
    options.port = 0;
    options.waitWorkers = false;
    served_ = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  }

  Placement place(int rank, int ranks) const {
    return {.rank = rank, .ranks = ranks, .local_rank = rank, .port = served_->getPort(), .job = "test"};
  }

 private:
  c10::intrusive_ptr<c10d::TCPStore> served_;
};

// Calls `work` on a thread for each rank; what the first of them threw is thrown here.
inline void with_ranks(int count, const std::function<void(Ranks&)>& work) {
  const MeetingPoint meeting;
  std::vector<std::exception_ptr> failures(static_cast<size_t>(count));
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank)
      threads.emplace_back([&, rank] {
        try {
          Ranks ranks(meeting.place(rank, count),
                      {.heartbeat_seconds = 60, .collective_timeout_seconds = 30});
          work(ranks);
          ranks.finish();
        } catch (...) {
          failures[static_cast<size_t>(rank)] = std::current_exception();
        }
      });
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace esmscale::dist
