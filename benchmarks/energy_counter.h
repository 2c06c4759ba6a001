// The energy that the first GPU has used, by its driver's library for management.
#pragma once

#include <optional>

#include <dlfcn.h>

class EnergyCounter {
 public:
  EnergyCounter() {
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library) return;
    const auto start = reinterpret_cast<int (*)()>(dlsym(library, "nvmlInit_v2"));
    const auto find =
        reinterpret_cast<int (*)(unsigned, void**)>(dlsym(library, "nvmlDeviceGetHandleByIndex_v2"));
    read_ = reinterpret_cast<Read>(dlsym(library, "nvmlDeviceGetTotalEnergyConsumption"));
    if (!start || !find || start() != 0 || find(0, &card_) != 0) read_ = nullptr;
  }
  // Since the driver was loaded; nullopt without the library, a GPU or a counter.
  std::optional<double> joules() const {
    unsigned long long millijoules = 0;
    if (!read_ || read_(card_, &millijoules) != 0) return std::nullopt;
    return 1e-3 * static_cast<double>(millijoules);
  }

 private:
  using Read = int (*)(void*, unsigned long long*);
  Read read_ = nullptr;
  void* card_ = nullptr;
};
