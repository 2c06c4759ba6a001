// The text of --version: the program, its revision and its libraries.
#include "cli/verb.h"
#include "esmscale/core/text.h"
#include "esmscale/core/version.h"

#include <optional>

#include <nlohmann/json.hpp>
#include <torch/version.h>
#ifdef ESMSCALE_HAS_CUDA
#include <cuda_runtime_api.h>
#include <nccl.h>
#endif

namespace esmscale::cli {

namespace {

struct Cuda {
  std::string toolkit, nccl;
};

std::optional<Cuda> cuda_versions() {
#ifdef ESMSCALE_HAS_CUDA
  return Cuda{.toolkit = text(CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10),
              .nccl = text(NCCL_MAJOR, ".", NCCL_MINOR, ".", NCCL_PATCH)};
#else
  return std::nullopt;
#endif
}

}  // namespace

Json version_json() {
  const std::optional<Cuda> cuda = cuda_versions();
  return {{"version", version()},
          {"revision", revision()},
          {"libtorch", TORCH_VERSION},
          {"cuda", cuda ? Json(cuda->toolkit) : Json()},
          {"nccl", cuda ? Json(cuda->nccl) : Json()}};
}

std::string version_text() {
  const std::optional<Cuda> cuda = cuda_versions();
  return text("esmscale ", version(), " (", revision(), "), LibTorch ", TORCH_VERSION,
              cuda ? text(", CUDA ", cuda->toolkit, ", NCCL ", cuda->nccl) : ", CPU only");
}

}  // namespace esmscale::cli
