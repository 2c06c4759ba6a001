#include "esmscale/train/process/device.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/process/host_memory.h"

#include <algorithm>

#ifdef ESMSCALE_HAS_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#endif

namespace esmscale::train {

int gpu_count() {
#ifdef ESMSCALE_HAS_CUDA
  return at::cuda::device_count();
#else
  return 0;
#endif
}

bool has_bf16(config::DeviceKind device) {
#ifdef ESMSCALE_HAS_CUDA
  constexpr int kAmpere = 8;
  if (device == config::DeviceKind::gpu && gpu_count() > 0)
    return at::cuda::getCurrentDeviceProperties()->major >= kAmpere;
#endif
  return device == config::DeviceKind::gpu;
}

bool has_fp8(config::DeviceKind device) {
#ifdef ESMSCALE_HAS_CUDA
  constexpr int kAda = 89;
  if (device == config::DeviceKind::gpu && gpu_count() > 0) {
    const cudaDeviceProp* properties = at::cuda::getCurrentDeviceProperties();
    return 10 * properties->major + properties->minor >= kAda;
  }
#endif
  return device == config::DeviceKind::gpu;
}

double gpu_memory_bytes(int gpu) {
#ifdef ESMSCALE_HAS_CUDA
  if (gpu >= 0 && gpu < gpu_count())
    return static_cast<double>(at::cuda::getDeviceProperties(gpu)->totalGlobalMem);
#endif
  constexpr double kGibi = 1024.0 * 1024 * 1024;
  return 80 * kGibi;
}

int ranks_of_machine(DeviceChoice device, int gpus) {
  return device == DeviceChoice::cpu ? 1 : std::max(1, gpus);
}

int gpu_of(int local_rank, int gpus) {
  if (gpus == 1) return 0;
  if (local_rank < 0)
    throw usage_error({.where = "LOCAL_RANK",
                       .expected = text("this rank's number on its node, where it sees ", gpus, " GPUs"),
                       .found = "nothing",
                       .advice = "start the ranks with srun, torchrun or mpirun, or set LOCAL_RANK"});
  if (local_rank < gpus) return local_rank;
  throw usage_error({.where = text("local rank ", local_rank),
                     .expected = "a GPU for each rank of this node",
                     .found = text(gpus, " GPUs"),
                     .advice = "start fewer ranks"});
}

c10::Device choose_device(DeviceChoice choice, int local_rank) {
  if (choice == DeviceChoice::cpu || (choice == DeviceChoice::automatic && gpu_count() == 0)) return at::kCPU;
  if (gpu_count() == 0)
    throw usage_error({.where = "--device cuda",
                       .expected = "a CUDA device",
#ifdef ESMSCALE_HAS_CUDA
                       .found = "none on this machine",
#else
                       .found = "a build without CUDA (no toolkit was there when it was built)",
#endif
                       .advice = "use --device cpu"});
  const c10::Device device(c10::DeviceType::CUDA,
                           static_cast<c10::DeviceIndex>(gpu_of(local_rank, gpu_count())));
#ifdef ESMSCALE_HAS_CUDA
  c10::cuda::set_device(device.index());
#endif
  return device;
}

std::string device_name(const c10::Device& device) {
#ifdef ESMSCALE_HAS_CUDA
  if (device.is_cuda()) return at::cuda::getDeviceProperties(device.index())->name;
#endif
  return device.is_cuda() ? "CUDA" : run::cpu_name();
}

int64_t peak_tensor_bytes(const c10::Device& device) {
#ifdef ESMSCALE_HAS_CUDA
  constexpr auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  if (device.is_cuda())
    return c10::cuda::CUDACachingAllocator::getDeviceStats(device.index()).allocated_bytes[all].peak;
#endif
  return device.is_cuda() ? 0 : peak_host_tensor_bytes();
}

void reset_peak_tensor_bytes(const c10::Device& device) {
#ifdef ESMSCALE_HAS_CUDA
  if (device.is_cuda()) return c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
#endif
  if (!device.is_cuda()) reset_peak_host_tensor_bytes();
}

}  // namespace esmscale::train
