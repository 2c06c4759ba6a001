#include "esmscale/kernels/gpu/gpu.h"

#include "kernels/gpu/checks.h"
#include "kernels/gpu/host.h"
#include "kernels/gpu/launch.h"
#include "kernels/gpu/programs/attention.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace esmscale::kernels::gpu {
namespace {

template <class Work>
int64_t rows_of(const Work& work) {
  return work.rows;
}
int64_t rows_of(const Attention& work) {
  return work.queries;
}
int64_t rows_of(const AttentionBackward& work) {
  return work.forward.key_blocks.count;  // where nobody asks, the gradients of keys and values are zeros
}

template <class Work>
void run_anywhere(const Work& work, Place place) {
  check(work);
  if (rows_of(work) == 0) return;
  if (!place.gpu) return run_here(work, place.lanes);
#ifdef ESMSCALE_HAS_CUDA
  launch(work, place.stream);
#else
  throw Error({.where = "kernels for a GPU", .expected = "a build with CUDA", .found = "one without"});
#endif
}

}  // namespace

std::vector<AttentionBlock> attention_blocks(const std::vector<int32_t>& starts,
                                             const std::vector<int32_t>& other_starts) {
  std::vector<AttentionBlock> blocks;
  for (size_t s = 0; s + 1 < starts.size(); ++s)
    for (int32_t first = 0; first < starts[s + 1] - starts[s]; first += kAttentionRows)
      blocks.push_back({static_cast<int32_t>(s), first});
  std::ranges::stable_sort(blocks, std::ranges::greater(), [&](const AttentionBlock& block) {
    return other_starts[block.sequence + 1] - other_starts[block.sequence];
  });
  return blocks;
}

template <class T>
int64_t norm_backward_blocks_at_once([[maybe_unused]] int64_t width, [[maybe_unused]] Place place) {
#ifdef ESMSCALE_HAS_CUDA
  if (place.gpu) return norm_backward_blocks_at_once<T>(width);
#endif
  return std::numeric_limits<int64_t>::max();
}
template int64_t norm_backward_blocks_at_once<float>(int64_t, Place);
template int64_t norm_backward_blocks_at_once<BFloat16>(int64_t, Place);

#define ESMSCALE_RUN(Work)                      \
  template <class T>                            \
  void run(const Work<T>& work, Place place) {  \
    run_anywhere(work, place);                  \
  }                                             \
  template void run(const Work<float>&, Place); \
  template void run(const Work<BFloat16>&, Place)
ESMSCALE_RUN(Embed);
ESMSCALE_RUN(NormForward);
ESMSCALE_RUN(NormRecompute);
ESMSCALE_RUN(NormBackward);
ESMSCALE_RUN(GeluForward);
ESMSCALE_RUN(GeluBackward);
ESMSCALE_RUN(Rotate);
ESMSCALE_RUN(RotateBackward);
ESMSCALE_RUN(CrossEntropy);
void run(const QuantiseRows& work, Place place) {
  run_anywhere(work, place);
}
void run(const AddPartials& work, Place place) {
  run_anywhere(work, place);
}
void run(const Attention& work, Place place) {
  run_anywhere(work, place);
}
void run(const AttentionBackward& work, Place place) {
  run_anywhere(work, place);
}

}  // namespace esmscale::kernels::gpu
