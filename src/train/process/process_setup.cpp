#include "esmscale/train/process/process_setup.h"

#include "esmscale/train/process/host_memory.h"

#include <csignal>
#include <cstdlib>

#include <ATen/Context.h>
#include <ATen/Parallel.h>

namespace esmscale::train {

void set_up_process(int threads) {
  ::setenv("MKL_DYNAMIC", "FALSE", /*overwrite=*/0);
  install_counting_allocator();
  at::set_num_threads(threads);
  std::signal(SIGPIPE, SIG_IGN);
}

void make_deterministic() {
  // cuBLAS splits sums in one way only when its workspace is of a fixed size.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // nothing here reads it
}

}  // namespace esmscale::train
