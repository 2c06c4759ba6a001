// The other side of gpu.cu, which sees CUDA and nothing of the host's threads.
#pragma once

#include "esmscale/kernels/gpu/gpu.h"

namespace esmscale::kernels::gpu {

// On a cudaStream_t; work.rows > 0. What CUDA refuses is an Error.
template <class Work>
void launch(const Work& work, void* stream);
// On the current GPU.
template <class T>
int64_t norm_backward_blocks_at_once(int64_t width);
void launch(const QuantiseRows& work, void* stream);
void launch(const AddPartials& work, void* stream);
void launch(const Attention& work, void* stream);
void launch(const AttentionBackward& work, void* stream);

// An Error where CUDA refused the last launch.
void require_started();

}  // namespace esmscale::kernels::gpu
