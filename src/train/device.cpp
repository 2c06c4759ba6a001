#include "esmscale/train/device.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/run/environment.h"

#include <ATen/Context.h>
#ifdef ESMSCALE_HAS_CUDA
#include <ATen/cuda/CUDAContext.h>
#endif

namespace esmscale {
namespace {

int gpu_count() {
#ifdef ESMSCALE_HAS_CUDA
  return at::cuda::device_count();
#else
  return 0;
#endif
}

}  // namespace

c10::Device choose_device(std::string_view name) {
  if (name == "cpu" || name == "auto") {
    // The CUDA path has not been run by its authors yet, so nobody gets it without asking.
    if (name == "auto" && gpu_count() > 0) log_info("a GPU is here; --device cuda uses it");
    return at::kCPU;
  }
  if (name != "cuda")
    throw usage_error({.where = "--device", .expected = "auto, cpu or cuda", .found = text("'", name, "'")});
  if (gpu_count() == 0)
    throw usage_error({.where = "--device cuda",
                       .expected = "a CUDA device",
#ifdef ESMSCALE_HAS_CUDA
                       .found = "none on this machine",
#else
                       .found = "a build without CUDA (no toolkit was there when it was built)",
#endif
                       .advice = "use --device cpu"});
  return {c10::DeviceType::CUDA, 0};
}

std::string device_name(const c10::Device& device) {
#ifdef ESMSCALE_HAS_CUDA
  if (device.is_cuda()) return at::cuda::getDeviceProperties(device.index())->name;
#endif
  return device.is_cuda() ? "CUDA" : cpu_name();
}

}  // namespace esmscale
