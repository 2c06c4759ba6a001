// The choice of the device to compute on.
#pragma once

#include "esmscale/config/engine_choice.h"
#include "esmscale/train/process/device_choice.h"

#include <cstdint>
#include <string>

#include <c10/core/Device.h>

namespace esmscale::train {

// Usage error when `choice` is cuda and there is no GPU. Ranks of one node take the GPUs in turn; a rank
// that sees only one takes that. It becomes the thread's current device, which our kernels run on.
c10::Device choose_device(DeviceChoice choice, int local_rank = 0);
int gpu_count();
// The GPU of that rank of the node among `gpus` visible ones, at least one. Usage error when there are too
// few, or several and the rank's number is not known (−1).
int gpu_of(int local_rank, int gpus);
// True for GPUs since Ampere, whose matrix units compute bf16. A GPU that this machine lacks counts as one
// of them.
bool has_bf16(config::DeviceKind device);
// True for GPUs whose matrix units multiply e4m3 (Ada, Hopper and later); one that is not here is taken for
// such.
bool has_fp8(config::DeviceKind device);
// `--ranks auto`: one rank for each GPU that --device leaves in use, and one where there is none.
int ranks_of_machine(DeviceChoice device, int gpus = gpu_count());
// All memory of a GPU in this machine; for one that is not here 80 GiB, as A100s and H100s have.
double gpu_memory_bytes(int gpu = 0);
// "NVIDIA H100 80GB HBM3", or the CPU's model name.
std::string device_name(const c10::Device& device);

// Peak bytes of all tensors on a device since the last reset, which sets it to their bytes now. For the CPU
// only after install_counting_allocator().
int64_t peak_tensor_bytes(const c10::Device& device);
void reset_peak_tensor_bytes(const c10::Device& device);

}  // namespace esmscale::train
