// A backend that makes mistakes in the use of collectives show, on ranks that are threads of one process. It
// does what a fast network and Gloo hide: results arrive as late as they may. A collective fills its output
// with NaN and returns; wait() checks that this rank has kept its hands off input and output in between,
// meets the other ranks, and only then writes the result.
#pragma once

#include "esmscale/dist/group.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

namespace esmscale::dist {

enum class Collective { all_reduce, reduce_scatter, all_gather, broadcast };

// What the ranks have in common: what each gave to collective number i, by rank.
class Exchange {
 public:
  explicit Exchange(int ranks) : ranks_(static_cast<size_t>(ranks)) {}

  struct Given {
    Collective kind;
    at::Tensor input;
  };

  void give(size_t number, int rank, Given given) {
    const std::lock_guard lock(mutex_);
    given_[number].insert({rank, std::move(given)});
    changed_.notify_all();
  }

  // What all gave to it. Throws when they called different collectives, or one of them never came.
  std::vector<at::Tensor> inputs(size_t number, Collective kind) {
    std::unique_lock lock(mutex_);
    const auto are_all_there = [&] { return given_[number].size() == ranks_; };
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return failed_ || are_all_there(); });
    if (!are_all_there())
      throw std::runtime_error("a rank is missing in collective " + std::to_string(number));
    std::vector<at::Tensor> inputs;
    for (const auto& [rank, given] : given_[number]) {
      if (given.kind != kind || given.input.sizes() != given_[number].begin()->second.input.sizes())
        throw std::runtime_error("the ranks called different collectives, number " + std::to_string(number));
      inputs.push_back(given.input);
    }
    return inputs;
  }

  void fail() {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    changed_.notify_all();
  }

 private:
  const size_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<size_t, std::map<int, Given>> given_;
  bool failed_ = false;
};

// `forgets` makes wait() return at once: what a program does that never waits.
struct SlowOptions {
  std::chrono::microseconds delay{200};
  std::optional<Collective> forgets;
};

class SlowWork final : public c10d::Work {
 public:
  struct Parts {
    std::shared_ptr<Exchange> exchange;
    Collective kind;
    size_t number;
    int rank, root;
    at::Tensor input, output;  // the caller's
    at::Tensor snapshot;       // of the input
    SlowOptions options;
  };
  explicit SlowWork(Parts parts) : parts_(std::move(parts)) {}

  bool wait(std::chrono::milliseconds = kNoTimeout) override {
    if (parts_.options.forgets == parts_.kind) return true;
    std::this_thread::sleep_for(parts_.options.delay);
    if (!parts_.output.isnan().all().item<bool>())
      throw std::runtime_error("the output of a collective was written before wait()");
    if (!parts_.input.is_same(parts_.output) && !parts_.input.equal(parts_.snapshot))
      throw std::runtime_error("the input of a collective was changed before wait()");
    parts_.output.copy_(result(parts_.exchange->inputs(parts_.number, parts_.kind)));
    return true;
  }

 private:
  at::Tensor result(const std::vector<at::Tensor>& all) const {
    if (parts_.kind == Collective::all_gather) return at::cat(all);
    if (parts_.kind == Collective::broadcast) return all[static_cast<size_t>(parts_.root)];
    at::Tensor sum = all.front().clone();
    for (size_t rank = 1; rank < all.size(); ++rank) sum += all[rank];
    if (parts_.kind == Collective::all_reduce) return sum;
    return sum.narrow(0, parts_.rank * parts_.output.numel(), parts_.output.numel());
  }

  const Parts parts_;
};

class SlowBackend final : public c10d::Backend {
 public:
  SlowBackend(std::shared_ptr<Exchange> exchange, int rank, int ranks, SlowOptions options = {})
      : Backend(rank, ranks), exchange_(std::move(exchange)), options_(options) {}

  const std::string getBackendName() const override { return "slow"; }
  void shutdown() override {}

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors,
                                           const c10d::AllreduceOptions&) override {
    return begin(Collective::all_reduce, tensors[0], tensors[0]);
  }
  c10::intrusive_ptr<c10d::Work> broadcast(std::vector<at::Tensor>& tensors,
                                           const c10d::BroadcastOptions& options) override {
    return begin(Collective::broadcast, tensors[0], tensors[0], static_cast<int>(options.rootRank));
  }
  c10::intrusive_ptr<c10d::Work> _reduce_scatter_base(at::Tensor& out, at::Tensor& in,
                                                      const c10d::ReduceScatterOptions&) override {
    return begin(Collective::reduce_scatter, in, out);
  }
  c10::intrusive_ptr<c10d::Work> _allgather_base(at::Tensor& out, at::Tensor& in,
                                                 const c10d::AllgatherOptions&) override {
    return begin(Collective::all_gather, in, out);
  }

 private:
  c10::intrusive_ptr<c10d::Work> begin(Collective kind, const at::Tensor& input, const at::Tensor& output,
                                       int root = 0) {
    const at::Tensor snapshot = input.clone();
    const size_t number = calls_++;
    exchange_->give(number, getRank(), {kind, snapshot});
    output.fill_(std::numeric_limits<double>::quiet_NaN());
    return c10::make_intrusive<SlowWork>(SlowWork::Parts{.exchange = exchange_,
                                                         .kind = kind,
                                                         .number = number,
                                                         .rank = getRank(),
                                                         .root = root,
                                                         .input = input,
                                                         .output = output,
                                                         .snapshot = snapshot,
                                                         .options = options_});
  }

  std::shared_ptr<Exchange> exchange_;
  SlowOptions options_;
  size_t calls_ = 0;
};

// Calls `work` on a thread for each rank; what the first of them threw is thrown here.
inline void with_slow_ranks(int count, const std::function<void(Group&)>& work, SlowOptions options = {}) {
  const auto exchange = std::make_shared<Exchange>(count);
  std::vector<std::exception_ptr> failures(static_cast<size_t>(count));
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank)
      threads.emplace_back([&, rank] {
        try {
          Group group(c10::make_intrusive<SlowBackend>(exchange, rank, count, options),
                      /*scatters_by_all_reduce=*/false);
          work(group);
        } catch (...) {
          failures[static_cast<size_t>(rank)] = std::current_exception();
          exchange->fail();
        }
      });
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace esmscale::dist
