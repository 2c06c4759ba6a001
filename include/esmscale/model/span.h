// A named stretch of a step. `train --profile` writes spans into its trace, and tools that record NVTX see
// them in a CUDA build. Without a recorder a span costs some nanoseconds.
#pragma once

#include <ATen/record_function.h>
#ifdef ESMSCALE_HAS_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace esmscale::model {

class Span {
 public:
  explicit Span(const char* name) : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) record_.before(name);
#ifdef ESMSCALE_HAS_CUDA
    nvtxRangePushA(name);
#endif
  }
#ifdef ESMSCALE_HAS_CUDA
  ~Span() {
    nvtxRangePop();
  }
#endif
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  at::RecordFunction record_;
};

}  // namespace esmscale::model
