#include "profile.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"

#include <algorithm>
#include <set>

#include <torch/csrc/autograd/profiler_kineto.h>

namespace esmscale {
namespace {

using torch::profiler::impl::ActivityType;
namespace kineto = torch::autograd::profiler;

}  // namespace

Profile::Profile(int64_t steps, std::filesystem::path file, bool gpu)
    : steps_(steps), file_(std::move(file)), gpu_(gpu) {}

Profile::~Profile() {
  if (recording_) kineto::disableProfiler();
}

void Profile::begin_step() {
  if (steps_ == 0 || begun_ > kStepsBefore + steps_) return;
  if (begun_ == kStepsBefore) {
    std::set<ActivityType> activities{ActivityType::CPU};
    if (gpu_) activities.insert(ActivityType::CUDA);
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
  if (steps_ > 0 && begun_ <= kStepsBefore)
    log_warning("--profile: the run ended before step ", kStepsBefore + 1, " of this session; no trace");
}

void Profile::write() {
  recording_ = false;
  kineto::disableProfiler()->save(file_.string());
  if (!std::filesystem::exists(file_))
    throw Error({.where = file_.string(),
                 .expected = "a trace of " + std::to_string(steps_) + " steps",
                 .found = "no file after LibTorch's profiler had saved it",
                 .advice = "is there room on the disk? train without --profile otherwise"});
  log_info("trace of ", std::min(begun_ - kStepsBefore, steps_), " steps: ", file_.string(),
           "; chrome://tracing or Perfetto opens it");
}

}  // namespace esmscale
