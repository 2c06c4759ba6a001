// Threads that work ahead while results are taken in the order in which they were asked for.
#pragma once

#include "esmscale/core/queue.h"

#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace esmscale {

class Workers {
 public:
  explicit Workers(int threads);
  ~Workers();  // finishes what was asked for
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int threads() const { return static_cast<int>(threads_.size()); }

  template <class Task, class Result = std::invoke_result_t<Task>>
  std::future<Result> run(Task task) {
    auto packaged = std::make_shared<std::packaged_task<Result()>>(std::move(task));
    std::future<Result> result = packaged->get_future();
    tasks_.push([packaged] { (*packaged)(); });
    return result;
  }

 private:
  BoundedQueue<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
};

// Hands results to `take`, on the caller's thread, in the order of push(). At most `most` are under way: that
// bounds the memory they hold. An exception of a task comes out of push() or finish().
template <class Result>
class InOrder {
 public:
  InOrder(size_t most, std::function<void(Result&&)> take) : most_(most), take_(std::move(take)) {}
  ~InOrder() {
    for (auto& result : under_way_) result.wait();  // tasks may refer to what dies after this
  }
  InOrder(const InOrder&) = delete;
  InOrder& operator=(const InOrder&) = delete;

  void push(std::future<Result> result) {
    under_way_.push_back(std::move(result));
    while (under_way_.size() >= most_ ||
           (!under_way_.empty() &&
            under_way_.front().wait_for(std::chrono::seconds(0)) == std::future_status::ready))
      take_first();
  }

  void finish() {
    while (!under_way_.empty()) take_first();
  }

 private:
  void take_first() {
    std::future<Result> first = std::move(under_way_.front());
    under_way_.pop_front();
    take_(first.get());
  }

  size_t most_;
  std::function<void(Result&&)> take_;
  std::deque<std::future<Result>> under_way_;
};

}  // namespace esmscale
