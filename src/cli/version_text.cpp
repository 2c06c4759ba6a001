// The text of --version: the program, its revision and its libraries.
#include "cli/verb.h"
#include "esmscale/core/text.h"
#include "esmscale/core/version.h"

#include <nlohmann/json.hpp>
#include <torch/version.h>
#ifdef ESMSCALE_HAS_CUDA
#include <cuda_runtime_api.h>
#include <nccl.h>
#endif

namespace esmscale::cli {

Json version_json() {
  Json json{{"version", version()},
            {"revision", revision()},
            {"libtorch", TORCH_VERSION},
            {"cuda", nullptr},
            {"nccl", nullptr}};
#ifdef ESMSCALE_HAS_CUDA
  json["cuda"] = text(CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10);
  json["nccl"] = text(NCCL_MAJOR, ".", NCCL_MINOR, ".", NCCL_PATCH);
#endif
  return json;
}

std::string version_text() {
  const Json json = version_json();
  const auto part = [&](const char* key) { return json[key].get<std::string>(); };
  return text("esmscale ", part("version"), " (", part("revision"), "), LibTorch ", part("libtorch"),
              json["cuda"].is_null() ? ", CPU only" : text(", CUDA ", part("cuda"), ", NCCL ", part("nccl")));
}

}  // namespace esmscale::cli
