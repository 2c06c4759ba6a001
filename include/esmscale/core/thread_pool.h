// Tasks that run on several threads, and their results in the order of the tasks.
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

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // at least one
  ~ThreadPool();                     // finishes the tasks that were given
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(threads_.size()); }

  // Waits while the queue is full, so a task must not call it.
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

// Hands results to `take`, on the caller's thread, in the order of push(). Fewer than `limit` (at least 1)
// are pending after push(), which bounds the memory they hold. An exception of a task comes out of push() or
// finish().
template <class Result>
class OrderedResults {
 public:
  OrderedResults(size_t limit, std::function<void(Result&&)> take) : limit_(limit), take_(std::move(take)) {}
  ~OrderedResults() {
    for (auto& result : pending_) result.wait();  // tasks may refer to what dies after this
  }
  OrderedResults(const OrderedResults&) = delete;
  OrderedResults& operator=(const OrderedResults&) = delete;

  void push(std::future<Result> result) {
    pending_.push_back(std::move(result));
    while (pending_.size() >= limit_ || (!pending_.empty() && pending_.front().wait_for(std::chrono::seconds(
                                                                  0)) == std::future_status::ready))
      take_first();
  }

  void finish() {
    while (!pending_.empty()) take_first();
  }

 private:
  void take_first() {
    std::future<Result> first = std::move(pending_.front());
    pending_.pop_front();
    take_(first.get());
  }

  size_t limit_;
  std::function<void(Result&&)> take_;
  std::deque<std::future<Result>> pending_;
};

}  // namespace esmscale
