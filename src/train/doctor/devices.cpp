#include "esmscale/core/text.h"
#include "esmscale/train/process/device.h"
#include "train/doctor/checks.h"

#include <filesystem>

#ifdef ESMSCALE_HAS_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <cuda_runtime_api.h>
#endif

namespace esmscale::train::doctor {
namespace {

constexpr const char* kDriver = "/proc/driver/nvidia";

Check without_gpus(DeviceChoice wanted) {
  Check check{.name = "devices", .found = "no GPU"};
  if (std::filesystem::exists(kDriver)) {
    check.result = CheckResult::warning;
#ifdef ESMSCALE_HAS_CUDA
    check.found = "a driver, and no GPU that this process may use";
    check.advice = "ask the scheduler for GPUs (--gpus-per-node); see CUDA_VISIBLE_DEVICES and `nvidia-smi`";
#else
    check.found = "a driver, and a program that was built without CUDA";
    check.advice = "build it where nvcc is installed (CONTRIBUTING.md)";
#endif
  }
  if (wanted != DeviceChoice::cuda) return check;
  check.result = CheckResult::error;
  if (check.advice.empty()) check.advice = "use --device cpu, or a node with GPUs";
  return check;
}

#ifdef ESMSCALE_HAS_CUDA
std::string version_of(int number) {
  return text(number / 1000, ".", number % 1000 / 10);
}

// One GPU, and what it lacks.
std::string gpu_text(int index, std::vector<std::string>& faults) {
  const cudaDeviceProp& gpu = *at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
  size_t free = 0, total = 0;
  cudaSetDevice(index);
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) faults.push_back(text("GPU ", index, " does not answer"));
  if (gpu.major < 8) faults.push_back(text("GPU ", index, " has no bf16 (it is older than Ampere)"));
  if (gpu.ECCEnabled == 0) faults.push_back(text("GPU ", index, " has its error correction off"));
  if (static_cast<double>(free) < 0.9 * static_cast<double>(total))
    faults.push_back(text("GPU ", index, " has ", human_bytes(static_cast<double>(free)), " of ",
                          human_bytes(static_cast<double>(total)), " free: another process uses it"));
  return text(gpu.name, " ", human_bytes(static_cast<double>(total)), " sm_", gpu.major, gpu.minor);
}
#endif

}  // namespace

Check device_check(DeviceChoice wanted) {
  if (wanted == DeviceChoice::cpu) return {.name = "devices", .found = "GPUs are not used (--device cpu)"};
  if (gpu_count() == 0) return without_gpus(wanted);
  Check check{.name = "devices", .found = text(gpu_count(), " GPU(s)")};
#ifdef ESMSCALE_HAS_CUDA
  int driver = 0, current = 0;
  cudaDriverGetVersion(&driver);
  cudaGetDevice(&current);
  std::vector<std::string> gpus, faults;
  for (int i = 0; i < gpu_count(); ++i)
    if (const std::string gpu = gpu_text(i, faults); gpus.empty() || gpus.back() != gpu) gpus.push_back(gpu);
  cudaSetDevice(current);
  check.found = text(gpu_count(), gpu_count() == 1 ? " GPU: " : " GPUs: ", join(gpus, ", "),
                     "; the driver supports CUDA ", version_of(driver));
  if (driver < CUDART_VERSION / 1000 * 1000) {
    check.result = CheckResult::error;
    check.advice = text("this program was built with CUDA ", version_of(CUDART_VERSION),
                        ": it needs a driver of the same major version");
  } else if (!faults.empty()) {
    check.result = CheckResult::warning;
    check.advice = join(faults, "; ");
  }
#endif
  return check;
}

}  // namespace esmscale::train::doctor
