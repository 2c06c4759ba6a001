// `train --profile STEPS`: a trace of a few steps, which a browser's trace viewer opens
// (LibTorch's Kineto: operations, the spans of model/span.h, and on a GPU every kernel).
#pragma once

#include <cstdint>
#include <filesystem>

#include <c10/core/Device.h>

namespace esmscale::train {

class Profile {
 public:
  // The first steps of a session allocate and choose algorithms: they are left out.
  static constexpr int64_t kStepsBefore = 2;

  // steps = 0: no trace. A GPU's kernels are recorded too.
  Profile(int64_t steps, std::filesystem::path file, const c10::Device& device);
  ~Profile();  // drops an unfinished trace
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  void begin_step();  // before the step waits for its batch
  void finish();      // the run ends: writes the trace; a second call does nothing

 private:
  void catch_up() const;
  void write();

  int64_t steps_, begun_ = 0;
  std::filesystem::path file_;
  c10::Device device_;
  bool recording_ = false;
};

}  // namespace esmscale::train
