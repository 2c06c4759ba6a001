// GPU kernels for what the fused engine computes between its matrix products. Each kernel passes over the
// rows once. At these widths such passes are bound by memory: a kernel reads and writes its rows once, where
// ATen's operations read and write them two to five times.
//
// Every kernel is written once (src/kernels/gpu/programs/*.h) for a GPU and for the host. The host is slow
// and serves tests. Rows are row-major; T is the type of activations, parameters and sums are fp32, and all
// arithmetic is fp32. Widths are multiples of 8, arrays 16-byte aligned. A pointer is null only where its
// comment says so.
#pragma once

#include "esmscale/kernels/bfloat16.h"
#include "esmscale/kernels/float8.h"

#include <cstdint>
#include <vector>

namespace esmscale::kernels::gpu {

// Kernels write sums over rows as partial sums, one for each block of kBlockRows rows, and AddPartials adds
// these up. The callers of NormBackward and of attention choose their blocks.
inline constexpr int64_t kBlockRows = 32;
inline constexpr int64_t blocks_of(int64_t rows) {
  return (rows + kBlockRows - 1) / kBlockRows;
}

// The largest width that NormBackward takes: a thread of one block for every 16 bytes of a row. More threads
// would leave each too few registers.
inline constexpr int64_t kLargestBlock = 640;
template <class T>
inline constexpr int64_t kLargestWidth = kLargestBlock * 16 / static_cast<int64_t>(sizeof(T));

// x[t] = table[token t] · factor t.
template <class T>
struct Embed {
  int64_t rows = 0, width = 0;
  const int64_t* tokens = nullptr;  // [T]
  const float* factors = nullptr;   // [T]
  const float* table = nullptr;     // [V, D]
  T* x = nullptr;                   // [T, D]
};

// sum = x + branch + branch_bias (rounded to T), y = (sum − mean) · rstd · gamma + beta.
template <class T>
struct NormForward {
  int64_t rows = 0, width = 0;
  const T* x = nullptr;                // [T, D]
  const T* branch = nullptr;           // [T, D]; null: nothing is added, `sum` is not written
  const float* branch_bias = nullptr;  // [D]; with a branch
  T* sum = nullptr;                    // [T, D]
  const float* gamma = nullptr;        // [D]
  const float* beta = nullptr;         // [D]
  T* y = nullptr;                      // [T, D]
  float* mean = nullptr;               // [T]
  float* rstd = nullptr;               // [T]
  float epsilon = 1e-5f;               // added to the variance
};

// y computed again from the saved statistics, bit for bit.
template <class T>
struct NormRecompute {
  int64_t rows = 0, width = 0;
  const T* sum = nullptr;
  const float *mean = nullptr, *rstd = nullptr, *gamma = nullptr, *beta = nullptr;
  T* y = nullptr;
};

// dsum += the gradient that came through y; it is then that of x and of branch alike.
template <class T>
struct NormBackward {
  int64_t rows = 0, width = 0;
  const T* sum = nullptr;
  const float *mean = nullptr, *rstd = nullptr, *gamma = nullptr;
  const T* dy = nullptr;      // [T, D]
  T* dsum = nullptr;          // [T, D] +=
  bool branch_bias = false;   // whether the third sum is wanted
  int64_t blocks = 1;         // number of blocks of rows, whose sizes differ by one at most
  float* partials = nullptr;  // [blocks, 2 or 3, D] dgamma, dbeta, column sums of the finished dsum
};

// y = z Φ(z), z = x + bias, the erf form.
template <class T>
struct GeluForward {
  int64_t rows = 0, width = 0;
  const T* x = nullptr;         // [T, F]
  const float* bias = nullptr;  // [F]
  T* y = nullptr;               // [T, F]; may be x
};

template <class T>
struct GeluBackward {
  int64_t rows = 0, width = 0;
  const T* x = nullptr;         // [T, F] as in the forward pass
  const float* bias = nullptr;  // [F]
  const T* dy = nullptr;        // [T, F]
  T* dx = nullptr;              // [T, F]; may be dy
  T* y = nullptr;               // [T, F] the forward pass's, bit for bit; null: not wanted
  float* partials = nullptr;    // [blocks, F] column sums of dx
};

// cos and sin of position · inv_freq.
struct RotaryAngles {
  const int64_t* positions = nullptr;                // [T]
  const float *cosines = nullptr, *sines = nullptr;  // [longest sequence, K/2]
};

// Which of q (0), k (1) and v (2) an array of projections [T, count, H, K] holds.
struct Parts {
  int first = 0, count = 3;
};

// Turns projections into attention's inputs, in place: adds the bias, scales q, rotates q and k (rotate_half
// form). K is a multiple of 8.
template <class T>
struct Rotate {
  int64_t rows = 0, heads = 0, head_dim = 0;
  RotaryAngles angles;
  float scale = 1;              // of q
  const float* bias = nullptr;  // [3, H, K]
  T* x = nullptr;               // [T, count, H, K]; rows may be longer
  int64_t step = 0;             // numbers from row to row
  Parts parts;
};

// The reverse: gradients of the projections from the gradients of ATen's attention.
template <class T>
struct RotateBackward {
  int64_t rows = 0, heads = 0, head_dim = 0;
  RotaryAngles angles;
  float scale = 1;
  const T* from[3] = {};      // dq, dk, dv, [T, H, K] each
  T* dx = nullptr;            // [T, 3, H, K]
  float* partials = nullptr;  // [blocks, 3, H, K] column sums of dx
};

inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// A block of attention's rows on a GPU: kAttentionRows rows of a sequence from its row `first` on, or the
// rest of the sequence.
inline constexpr int64_t kAttentionRows = 128;
struct AttentionBlock {
  int32_t sequence, first;
};
struct AttentionBlocks {
  const AttentionBlock* at = nullptr;
  int64_t count = 0;
};
// The blocks of all sequences, which begin at `starts`. The most costly ones, whose sequence has the most
// rows on the other side, come first, so that the last blocks, when the GPU runs dry, are short.
std::vector<AttentionBlock> attention_blocks(const std::vector<int32_t>& starts,
                                             const std::vector<int32_t>& other_starts);

// softmax(ln 2 · q kᵀ) v + v_bias for every head of every sequence: q is scaled already, so that 2^(q kᵀ) are
// the weights, and v comes without its bias, which weights that sum to 1 leave as it is. Sequence i has the
// rows starts[i] … starts[i + 1] − 1; its queries may be fewer than its keys.
// Head dims 16, 24, 32 and 64; on a GPU by the tensor cores, in bf16 with fp32 sums.
struct Attention {
  int64_t queries = 0, heads = 0, head_dim = 0;                  // Q rows of queries in all
  const int32_t *query_starts = nullptr, *key_starts = nullptr;  // [sequences + 1]
  AttentionBlocks query_blocks, key_blocks;                      // all rows of either
  const BFloat16 *q = nullptr, *k = nullptr, *v = nullptr;
  int64_t q_step = 0, kv_step = 0;  // numbers from row to row
  const float* v_bias = nullptr;    // [H, K]
  BFloat16* out = nullptr;          // [Q, H, K]
  float* minus_lse = nullptr;       // [H, Q] −log₂ Σ 2^(q kᵀ)
};
constexpr bool attention_takes(int64_t head_dim) {
  return head_dim == 16 || head_dim == 24 || head_dim == 32 || head_dim == 64;
}

// Gradients of the projections that Rotate made q and k of, and of v. Sums over rows come as one partial sum
// for each block of queries or of keys.
struct AttentionBackward {
  Attention forward;                      // as it was, with its results
  const BFloat16* dout = nullptr;         // [Q, H, K]
  float* minus_delta = nullptr;           // [H, Q] room for −dout · out of each row, without v_bias
  RotaryAngles query_angles, key_angles;  // as Rotate had them
  float scale = 1;                        // of q, as Rotate had it, without log₂ e
  BFloat16 *dq = nullptr, *dk = nullptr, *dv = nullptr;
  int64_t dq_step = 0, dkv_step = 0;
  float* q_partials = nullptr;   // [blocks, H, K] column sums of dq
  float* kv_partials = nullptr;  // [blocks, 2, H, K] of dk and dv
};

// Logits become the gradient of the SUM of losses, softmax(logits + bias) − one_hot(target).
template <class T>
struct CrossEntropy {
  int64_t rows = 0, vocabulary = 0;
  int64_t step = 0;                  // numbers from row to row, at least `vocabulary`
  T* logits = nullptr;               // [M, V]
  const float* bias = nullptr;       // [V]
  const int64_t* targets = nullptr;  // [M]; −1: an inert row, loss and gradient 0
  float* losses = nullptr;           // [M] nats
};

// y · scale of its row is x, the largest number of a row being 448 in y. A row of zeros has the scale 1.
struct QuantiseRows {
  int64_t rows = 0, width = 0;
  const BFloat16* x = nullptr;  // [T, D]
  Float8* y = nullptr;          // [T, D]
  float* scales = nullptr;      // [T]
};

// totals[i][c] += Σ over blocks of partials[block, i, c], always in the same order.
struct AddPartials {
  int64_t rows = 0;  // blocks
  int64_t count = 1, width = 0;
  const float* partials = nullptr;  // [blocks, count, width]
  float* totals[3] = {};            // [width] each
};

// Where a kernel runs: on the host, at once; or on a GPU, in order on a cudaStream_t.
struct Place {
  bool gpu = false;
  void* stream = nullptr;
  int64_t lanes = 1;  // on the host: the number of threads that sum a row on a GPU
};

// The number of blocks of NormBackward<T> that a GPU runs at once: with more blocks the last ones run alone.
// The host takes any number.
template <class T>
int64_t norm_backward_blocks_at_once(int64_t width, Place place);

// T is float or BFloat16. Usage error for a width or head_dim that the kernel does not
// take; Error for a launch that CUDA refuses, and for a GPU in a build without CUDA.
template <class T>
void run(const Embed<T>& work, Place place);
template <class T>
void run(const NormForward<T>& work, Place place);
template <class T>
void run(const NormRecompute<T>& work, Place place);
template <class T>
void run(const NormBackward<T>& work, Place place);
template <class T>
void run(const GeluForward<T>& work, Place place);
template <class T>
void run(const GeluBackward<T>& work, Place place);
template <class T>
void run(const Rotate<T>& work, Place place);
template <class T>
void run(const RotateBackward<T>& work, Place place);
template <class T>
void run(const CrossEntropy<T>& work, Place place);
void run(const QuantiseRows& work, Place place);
void run(const AddPartials& work, Place place);
void run(const Attention& work, Place place);
void run(const AttentionBackward& work, Place place);

}  // namespace esmscale::kernels::gpu
