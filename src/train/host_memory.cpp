#include "esmscale/train/host_memory.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <atomic>
#include <cstdlib>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>

namespace esmscale {
namespace {

constexpr size_t kAlignment = 64;  // a cache line; also room for the size in front of the data

std::atomic<int64_t> current{0}, peak{0};

void release(void* data) {
  if (!data) return;
  void* block = static_cast<char*>(data) - kAlignment;
  current -= static_cast<int64_t>(*static_cast<size_t*>(block));
  std::free(block);
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* block = nullptr;
    if (::posix_memalign(&block, kAlignment, bytes + kAlignment) != 0)
      throw Error({.where = "memory",
                   .expected = text("to allocate ", human_bytes(static_cast<double>(bytes)), " for a tensor"),
                   .found = "no memory left",
                   .advice = "use a smaller train.micro_batch_tokens or model"});
    *static_cast<size_t*>(block) = bytes;
    const int64_t now = current += static_cast<int64_t>(bytes);
    for (int64_t seen = peak; now > seen && !peak.compare_exchange_weak(seen, now);) {
    }
    void* data = static_cast<char*>(block) + kAlignment;
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* destination, const void* source, size_t bytes) const override {
    default_copy_data(destination, source, bytes);
  }
};

}  // namespace

void count_host_memory() {
  static CountingAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/1);
  ::mallopt(M_MMAP_MAX, 0);  // large blocks from the heap too
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

int64_t peak_host_tensor_bytes() {
  return peak;
}
void reset_peak_host_tensor_bytes() {
  peak = current.load();
}

}  // namespace esmscale
