// Launches of the programs in device/ on a GPU; they compile for sm_80 and sm_90.
#include "esmscale/core/error.h"
#include "kernels/gpu/launch.h"
#include "kernels/gpu/programs/ends.h"
#include "kernels/gpu/programs/gelu.h"
#include "kernels/gpu/programs/norm.h"
#include "kernels/gpu/programs/partials.h"
#include "kernels/gpu/programs/quantise.h"
#include "kernels/gpu/programs/rotary.h"
#include "kernels/gpu/programs/tensor_cores.h"

#include <algorithm>

namespace esmscale::kernels::gpu {
namespace {

constexpr int kWarp = 32;
constexpr int kThreads = 128;  // of a block, where programs do not say

unsigned pieces(int64_t count, int64_t size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

__device__ Float2 warp_sum(Float2 x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    x.a += __shfl_xor_sync(kAllLanes, x.a, distance);
    x.b += __shfl_xor_sync(kAllLanes, x.b, distance);
  }
  return x;
}

struct Warp {
  __device__ int lane() const { return threadIdx.x % kWarp; }
  __device__ int lanes() const { return kWarp; }
  template <int Count>
  __device__ void sum(Float2 (&x)[Count]) const {
    for (Float2& one : x) one = warp_sum(one);
  }
  __device__ float max(float x) const {
    for (int distance = kWarp / 2; distance > 0; distance /= 2)
      x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, distance));
    return x;
  }
};

// All threads of a block, in whole warps. Sums of warps use two buffers in turn: a warp that writes one has
// passed the barrier of the sum before, when all warps had finished reading that buffer.
struct Block {
  static constexpr int kMost = 2;  // sums at once
  using Place = Float2[kMost][kLargestBlock / 32];
  Place* of_warps;  // [2] shared memory
  mutable int turn = 0;
  __device__ int lane() const { return threadIdx.x; }
  __device__ int lanes() const { return blockDim.x; }
  template <int Count>
  __device__ void sum(Float2 (&x)[Count]) const {
    static_assert(Count <= kMost);
    Place& place = of_warps[turn];
    turn ^= 1;
    ESMSCALE_UNROLL
    for (int i = 0; i < Count; ++i) {
      x[i] = warp_sum(x[i]);
      if (threadIdx.x % kWarp == 0) place[i][threadIdx.x / kWarp] = x[i];
    }
    __syncthreads();
    ESMSCALE_UNROLL
    for (int i = 0; i < Count; ++i) {
      x[i] = {0, 0};
      for (unsigned warp = 0; warp < blockDim.x / kWarp; ++warp) {
        x[i].a += place[i][warp].a;
        x[i].b += place[i][warp].b;
      }
    }
  }
};

template <class Work>
__global__ void __launch_bounds__(kThreads) rows_kernel(const Work work) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row < work.rows) row_program(Warp{}, work, row);
}

template <class Work>
__global__ void __launch_bounds__(kThreads) columns_kernel(const Work work, int64_t groups) {
  const int64_t group = static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
  if (group < groups) column_program(work, blockIdx.x, group);
}

// Threads of a block, and how many blocks a multiprocessor must have room for, which bounds their registers:
// as measured on an H200 for widths up to 1,280 in bf16; wider ones take what they can get.
template <int kMostThreads, int kRoomFor, class T>
__global__ void __launch_bounds__(kMostThreads, kRoomFor) norm_backward_kernel(const NormBackward<T> work) {
  __shared__ Block::Place of_warps[2];
  norm_backward_block<1>(Block{of_warps}, work, blockIdx.x);
}
template <class T>
struct NormBackwardLaunch {
  static constexpr unsigned kUsualThreads = 160;
  unsigned threads;
  void (*kernel)(NormBackward<T>);
  explicit NormBackwardLaunch(int64_t width)
      : threads(pieces(width, kPack<T> * kWarp) * kWarp),
        kernel(threads <= kUsualThreads ? norm_backward_kernel<kUsualThreads, 3, T>
                                        : norm_backward_kernel<kLargestBlock, 1, T>) {}
};

// A warp for 32 columns of a slice of the blocks; then the first adds the slices up.
constexpr int kSlices = 32;
__global__ void __launch_bounds__(kWarp* kSlices) add_partials_kernel(const AddPartials work) {
  __shared__ float sums[kSlices][kWarp];
  const int lane = threadIdx.x % kWarp, slice = threadIdx.x / kWarp;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  const bool there = column < work.count * work.width;
  sums[slice][lane] = there ? slice_sum(work, column, slice, kSlices) : 0;
  __syncthreads();
  if (slice > 0 || !there) return;
  float total = 0;
  for (int i = 0; i < kSlices; ++i) total += sums[i][lane];
  const int64_t part = column / work.width;
  float* to = part == 0 ? work.totals[0] : part == 1 ? work.totals[1] : work.totals[2];
  to[column % work.width] += total;
}

template <class Work>
void start_rows(const Work& work, cudaStream_t stream) {
  rows_kernel<<<pieces(work.rows, kThreads / kWarp), kThreads, 0, stream>>>(work);
}
template <class T>
void start(const NormForward<T>& work, cudaStream_t stream) {
  start_rows(work, stream);
}
template <class T>
void start(const CrossEntropy<T>& work, cudaStream_t stream) {
  start_rows(work, stream);
}
template <class T>
void start(const NormBackward<T>& work, cudaStream_t stream) {
  const NormBackwardLaunch<T> launch(work.width);
  launch.kernel<<<static_cast<unsigned>(work.blocks), launch.threads, 0, stream>>>(work);
}
template <class Work>
void start(const Work& work, cudaStream_t stream) {
  const int64_t groups = groups_of(work);
  const dim3 grid(pieces(work.rows, kBlockRows), pieces(groups, kThreads));
  const unsigned threads = pieces(pieces(groups, grid.y), kWarp) * kWarp;
  columns_kernel<<<grid, threads, 0, stream>>>(work, groups);
}

}  // namespace

void require_started() {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess)
    throw Error(
        {"a kernel on the GPU", "to start", cudaGetErrorString(status), "use --set train.engine=plain"});
}

template <class T>
int64_t norm_backward_blocks_at_once(int64_t width) {
  const NormBackwardLaunch<T> launch(width);
  int of_multiprocessor = 0, device = 0, multiprocessors = 0;
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&of_multiprocessor, launch.kernel,
                                                static_cast<int>(launch.threads), /*dynamicSMemSize=*/0);
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  require_started();
  return std::max(1, of_multiprocessor * multiprocessors);
}
template int64_t norm_backward_blocks_at_once<float>(int64_t);
template int64_t norm_backward_blocks_at_once<BFloat16>(int64_t);

template <class Work>
void launch(const Work& work, void* stream) {
  start(work, static_cast<cudaStream_t>(stream));
  require_started();
}

void launch(const QuantiseRows& work, void* stream) {
  start_rows(work, static_cast<cudaStream_t>(stream));
  require_started();
}

void launch(const AddPartials& work, void* stream) {
  add_partials_kernel<<<pieces(work.count * work.width, kWarp), kWarp * kSlices, 0,
                        static_cast<cudaStream_t>(stream)>>>(work);
  require_started();
}

#define ESMSCALE_LAUNCH(Work)                      \
  template void launch(const Work<float>&, void*); \
  template void launch(const Work<BFloat16>&, void*)
ESMSCALE_LAUNCH(Embed);
ESMSCALE_LAUNCH(NormForward);
ESMSCALE_LAUNCH(NormRecompute);
ESMSCALE_LAUNCH(NormBackward);
ESMSCALE_LAUNCH(GeluForward);
ESMSCALE_LAUNCH(GeluBackward);
ESMSCALE_LAUNCH(Rotate);
ESMSCALE_LAUNCH(RotateBackward);
ESMSCALE_LAUNCH(CrossEntropy);

}  // namespace esmscale::kernels::gpu
