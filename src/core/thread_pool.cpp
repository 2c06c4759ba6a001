#include "esmscale/core/thread_pool.h"

#include <algorithm>

namespace esmscale {

ThreadPool::ThreadPool(int threads) : tasks_(static_cast<size_t>(4 * std::max(1, threads) + 4)) {
  for (int i = 0; i < std::max(1, threads); ++i)
    threads_.emplace_back([this] {
      while (auto task = tasks_.pop()) (*task)();
    });
}

ThreadPool::~ThreadPool() {
  tasks_.close();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace esmscale
