// What --version prints: the program, its revision and what it stands on.
#include "esmscale/cli/verb.h"
#include "esmscale/core/version.h"

#include <torch/version.h>
#ifdef ESMSCALE_HAS_CUDA
#include <cuda_runtime_api.h>
#include <nccl.h>
#endif

namespace esmscale {

std::string version_text() {
  std::string shown =
      std::string("esmscale ") + version() + " (" + revision() + "), LibTorch " + TORCH_VERSION;
#ifdef ESMSCALE_HAS_CUDA
  shown += ", CUDA " + std::to_string(CUDART_VERSION / 1000) + "." +
           std::to_string(CUDART_VERSION % 1000 / 10) + ", NCCL " + std::to_string(NCCL_MAJOR) + "." +
           std::to_string(NCCL_MINOR) + "." + std::to_string(NCCL_PATCH);
#else
  shown += ", CPU only";
#endif
  return shown;
}

}  // namespace esmscale
