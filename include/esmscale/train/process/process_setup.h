// What training and scoring change about their own process. Everything else that a process changes:
//   - the program starts itself again with GOMP_SPINCOUNT (openmp_wait.cpp);
//   - it ignores SIGXFSZ and SIGPIPE, so that a file that outgrows its limit and a reader that goes away
//     are errors of write() (cli/verbs.cpp);
//   - OnInterruption takes SIGINT, SIGTERM and SIGHUP, so that unfinished files are removed before the signal
//     ends the process (core/files/interruption.h);
//   - SIGBUS of a mapped file ends it with an error that names the file (core/files/mapped_file.cpp);
//   - StopSignal takes the stop signals while a run lives (core/stop_signal.h);
//   - the launcher of ranks, and `study` while it runs or submits a study, block the stop signals and read
//     them (core/child.h);
//   - an engine sets LibTorch's TF32 switch by its precision (model/engine.cpp);
//   - a rank ends with its launcher while it connects (dist/run_as_rank.cpp);
//   - what serves or connects to the store of the ranks silences LibTorch's own log and ignores SIGPIPE
//     (dist/store.cpp);
//   - a Trainer sets LibTorch's number of threads (train/trainer.cpp);
//   - `doctor` has NCCL write its log to a file (train/doctor/connections.cpp);
//   - jobs of SLURM get the program's path as ESMSCALE (study/slurm.cpp).
#pragma once

namespace esmscale::train {

// Before LibTorch's first product:
//   MKL keeps to the number of threads that it is given (MKL_DYNAMIC), so that results do not depend on the
//   load; the CPU's tensors come from an allocator that counts them and keeps freed memory (host_memory.h);
//   LibTorch uses `threads` threads; SIGPIPE is ignored, whoever trains.
void set_up_process(int threads);

// train.deterministic: a GPU then adds in a fixed order, at some cost. Call it before the first product. A
// CPU always does so, for one number of threads.
void make_deterministic();

}  // namespace esmscale::train
