#include "train/profile.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"

#include <algorithm>
#include <set>
#include <utility>

#include <ATen/core/Tensor.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/profiler_kineto.h>

namespace esmscale::train {
namespace {

using torch::profiler::impl::ActivityType;
namespace kineto = torch::autograd::profiler;

}  // namespace

Profile::Profile(int64_t steps, std::filesystem::path file, const c10::Device& device)
    : steps_(steps), file_(std::move(file)), device_(device) {}

Profile::~Profile() {
  if (recording_) kineto::disableProfiler();
}

// Waits for the GPU, which lags the host, so that the trace holds whole steps of both.
void Profile::catch_up() const {
  if (device_.is_cuda()) c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(device_.index());
}

void Profile::begin_step() {
  if (steps_ == 0 || begun_ > kStepsBefore + steps_) return;
  if (begun_ == kStepsBefore) {
    catch_up();
    std::set<ActivityType> activities{ActivityType::CPU};
    if (device_.is_cuda()) activities.insert(ActivityType::CUDA);
    const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
    kineto::prepareProfiler(config, activities);
    kineto::enableProfiler(config, activities);
    recording_ = true;
  }
  if (begun_ == kStepsBefore + steps_ && recording_) write();
  ++begun_;
}

void Profile::finish() {
  if (recording_) write();
  if (std::exchange(steps_, 0) > 0 && begun_ <= kStepsBefore)
    log_warning("--profile: the run ended before step ", kStepsBefore + 1, " of this session; no trace");
}

void Profile::write() {
  recording_ = false;
  catch_up();
  AtomicOutput output(file_);  // the profiler opens its file by name, through any link
  kineto::disableProfiler()->save(output.path().string());
  if (!std::filesystem::exists(output.path()))
    throw Error({.where = file_.string(),
                 .expected = "a trace of " + std::to_string(steps_) + " steps",
                 .found = "no file after LibTorch's profiler had saved it",
                 .advice = "is there room on the disk? train without --profile otherwise"});
  output.publish();
  log_info("trace of ", std::min(begun_ - kStepsBefore, steps_), " steps: ", file_.string(),
           "; chrome://tracing or Perfetto opens it");
}

}  // namespace esmscale::train
