#ifdef ESMSCALE_HAS_CUDA
#ifndef USE_C10D_NCCL
#define USE_C10D_NCCL
#endif
#include "dist/backend.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace esmscale::dist {

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int ranks,
                                            std::chrono::milliseconds timeout) {
  // Else a collective waits until the blocks of a product that runs have all ended.
  auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/true);
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, ranks, options);
}

}  // namespace esmscale::dist
#endif
