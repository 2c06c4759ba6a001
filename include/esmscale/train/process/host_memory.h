// Counts the bytes of all tensors on the CPU, so that a run's measured peak can be compared with its
// prediction.
#pragma once

#include <cstdint>

namespace esmscale::train {

// Replaces LibTorch's CPU allocator, before the first tensor. Freed memory stays with the process: returning
// tens of megabytes to the system after each operation would cost a page fault per 4 KiB when the next one
// allocates again.
void install_counting_allocator();

int64_t peak_host_tensor_bytes();
void reset_peak_host_tensor_bytes();  // to what is allocated now

}  // namespace esmscale::train
