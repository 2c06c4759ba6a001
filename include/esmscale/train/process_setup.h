// Everything that training and scoring change about their own process. The program as a whole also ignores
// SIGXFSZ (cli/verbs.cpp), so that a file which outgrows its limit is an error of write(); an engine sets
// LibTorch's TF32 switch by its precision (model/engine.cpp); StopSignal takes the stop signals while a run
// lives (core/stop_signal.h); ranks silence LibTorch's own log (dist/store.cpp).
#pragma once

namespace esmscale::train {

// Before LibTorch's first product:
//   MKL keeps to the number of threads that it is given (MKL_DYNAMIC), so that results do not depend on the
//   load; the CPU's tensors come from an allocator that counts them and keeps freed memory (host_memory.h);
//   LibTorch uses `threads` threads;
//   SIGPIPE is ignored: a reader of stdout or stderr that goes away is an error of write(), and logging
//   continues.
void set_up_process(int threads);

// train.deterministic: a GPU then adds in a fixed order, at some cost. Call it before the first product. A
// CPU always does so, for one number of threads.
void make_deterministic();

}  // namespace esmscale::train
