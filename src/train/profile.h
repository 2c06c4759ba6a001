// `train --profile STEPS`: what a few steps did and when, as a trace that a browser's trace viewer opens
// (LibTorch's Kineto: operations, the spans of model/span.h, and on a GPU every kernel).
#pragma once

#include <cstdint>
#include <filesystem>

namespace esmscale {

class Profile {
 public:
  // The first steps of a session allocate and choose algorithms: they are left out.
  static constexpr int64_t kStepsBefore = 2;

  // With steps = 0 nothing ever happens. `gpu`: its kernels too.
  Profile(int64_t steps, std::filesystem::path file, bool gpu);
  ~Profile();  // a trace under way is dropped
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  void begin_step();  // before the step waits for its batch
  void finish();      // the run ends: what was recorded is written

 private:
  void write();

  int64_t steps_, begun_ = 0;
  std::filesystem::path file_;
  bool gpu_, recording_ = false;
};

}  // namespace esmscale
