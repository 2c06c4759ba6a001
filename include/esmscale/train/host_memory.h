// Counts the bytes of all tensors on the CPU, so that a run's measured peak can stand beside its prediction.
#pragma once

#include <cstdint>

namespace esmscale::train {

// From now on LibTorch's CPU tensors are counted; call it before the first of them. It also keeps freed
// memory with the process: giving tens of megabytes back to the system after each operation costs a page
// fault per 4 KiB when the next one asks again.
void count_host_memory();

int64_t peak_host_tensor_bytes();
void reset_peak_host_tensor_bytes();  // to what is allocated now

}  // namespace esmscale::train
