#include "model/gpu_work.h"

#ifdef ESMSCALE_HAS_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace esmscale::model {

kernels::gpu::Place place_of([[maybe_unused]] const at::Tensor& any) {
#ifdef ESMSCALE_HAS_CUDA
  if (any.is_cuda())
    return {.gpu = true, .stream = c10::cuda::getCurrentCUDAStream(any.get_device()).stream()};
#endif
  return {};
}

void add_partials(const at::Tensor& partials, const std::array<at::Tensor, 3>& totals) {
  kernels::gpu::run(
      kernels::gpu::AddPartials{.rows = partials.size(0),
                                .count = partials.size(1),
                                .width = partials.size(2),
                                .partials = floats(partials),
                                .totals = {floats(totals[0]), floats(totals[1]), floats(totals[2])}},
      place_of(partials));
}

}  // namespace esmscale::model
