#include "esmscale/train/process/host_memory.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <atomic>
#include <bit>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

namespace esmscale::train {
namespace {

constexpr size_t kAlignment = 64;  // a cache line; also room in front of the data for the header

std::atomic<int64_t> current{0}, peak{0};

struct Header {
  size_t bytes, room;  // requested; allocated after the header
};

// Eight sizes between a power of two and the next: at most an eighth is wasted, and blocks find takers.
size_t size_class(size_t bytes) {
  const size_t step = std::max<size_t>(kAlignment, std::bit_floor(std::max<size_t>(bytes, 1)) / 8);
  return (bytes + step - 1) / step * step;
}

// Blocks that were freed, by size. Steps differ in their rows, so a block serves sizes down to two thirds of
// its own; and where none is large enough, one that is too small by as much goes back to the system before a
// new one comes. Else the blocks of every size that a step ever had would pile up.
class Store {
 public:
  // A block of at least `room`, or null.
  void* take(size_t room) {
    const std::lock_guard lock(mutex_);
    const auto larger = free_.lower_bound(room);
    if (larger != free_.end() && larger->first < room + room / 2) return pop(larger);
    if (larger != free_.begin() && std::prev(larger)->first > room - room / 3)
      std::free(pop(std::prev(larger)));
    return nullptr;
  }
  void give(void* block, size_t room) {
    const std::lock_guard lock(mutex_);
    free_[room].push_back(block);
  }
  void return_all_to_system() {
    const std::lock_guard lock(mutex_);
    for (auto& [room, blocks] : free_) {
      for (void* block : blocks) std::free(block);
    }
    free_.clear();
  }

 private:
  using Blocks = std::map<size_t, std::vector<void*>>;  // none of them empty

  void* pop(Blocks::iterator place) {
    void* block = place->second.back();
    place->second.pop_back();
    if (place->second.empty()) free_.erase(place);
    return block;
  }

  std::mutex mutex_;
  Blocks free_;
};

Store& store() {
  static auto* forever = new Store;  // tensors may be freed after static destructors have run
  return *forever;
}

void release(void* data) {
  if (!data) return;
  void* block = static_cast<char*>(data) - kAlignment;
  const Header header = *static_cast<Header*>(block);
  current -= static_cast<int64_t>(header.bytes);
  store().give(block, header.room);
}

// Null when there is no memory left, kept blocks of other sizes given back.
void* from_system(size_t room) {
  void* block = nullptr;
  if (::posix_memalign(&block, kAlignment, room + kAlignment) == 0) return block;
  store().return_all_to_system();
  return ::posix_memalign(&block, kAlignment, room + kAlignment) == 0 ? block : nullptr;
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const size_t room = size_class(bytes);
    void* block = store().take(room);
    if (block)
      static_cast<Header*>(block)->bytes = bytes;  // its room may be more
    else if ((block = from_system(room)))
      *static_cast<Header*>(block) = {bytes, room};
    else
      throw Error({.where = "memory",
                   .expected = "",
                   .found = text("out of memory: cannot allocate ", human_bytes(static_cast<double>(bytes)),
                                 " for a tensor"),
                   .advice = "use a smaller train.micro_batch_tokens or model"});
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

void install_counting_allocator() {
  static auto* allocator = new CountingAllocator;
  c10::SetCPUAllocator(allocator, /*priority=*/1);
}

int64_t peak_host_tensor_bytes() {
  return peak;
}
void reset_peak_host_tensor_bytes() {
  peak = current.load();
}

}  // namespace esmscale::train
