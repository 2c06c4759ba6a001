// The other side of device.cu, which sees CUDA and nothing of the host's threads.
#pragma once

#include "esmscale/kernels/device.h"

namespace esmscale::kernels::device {

// On a cudaStream_t; work.rows > 0. What CUDA refuses is an Error.
template <class Work>
void launch(const Work& work, void* stream);

}  // namespace esmscale::kernels::device
