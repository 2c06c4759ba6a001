// How kernels are cut into pieces of work. No kernel starts a thread: the caller hands disjoint ranges that
// together cover everything to as many threads as it likes. Every range of one kernel may run at the same
// time as the others, and the result does not depend, to the last bit, on how the whole was cut.
//
// Sums over rows (gradients of biases and of LayerNorm's parameters) keep that promise by fixed blocks: rows
// are cut into blocks of kBlockRows, a kernel writes one partial sum per block, and sum_partials() adds them
// in block order.
#pragma once

#include <cstdint>

namespace esmscale::kernels::cpu {

struct Range {
  int64_t begin = 0, end = 0;  // half open
};

inline constexpr int64_t kBlockRows = 64;

inline constexpr int64_t row_blocks(int64_t rows) {
  return (rows + kBlockRows - 1) / kBlockRows;
}

// The rows of `blocks` in an array of `rows` rows; the last block may be short.
inline constexpr Range rows_of(Range blocks, int64_t rows) {
  return {blocks.begin * kBlockRows, blocks.end * kBlockRows < rows ? blocks.end * kBlockRows : rows};
}

}  // namespace esmscale::kernels::cpu
