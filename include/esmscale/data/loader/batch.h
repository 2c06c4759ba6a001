// Batches of whole sequences, packed and masked: the loader makes them for the trainer, the evaluator for the
// model.
#pragma once

#include <cstdint>
#include <vector>

namespace esmscale::data {

// A run's position in its data. With the seed it determines everything that follows (docs/data_order.md).
struct DataState {
  int64_t epoch = 0;
  int64_t next = 0;  // position in the epoch's order

  bool operator==(const DataState&) const = default;
};

// Packed sequences: T rows, N sequences, M masked positions. Rows of sequence i are
// cu_seqlens[i]…cu_seqlens[i+1]. Without fixed shapes the rows stop where the last sequence ends, and a batch
// may be empty (cu_seqlens is then {0}). With fixed shapes T, N and M are the numbers of BatchShape, and
// after the real rows there is inert room: sequences of pad tokens (at most max_seq_len rows) as far as the
// rows go, then sequences without rows; each has sequences[i] −1 and mask_counts[i] 0. Inert masked positions
// have row 0 and target −1.
struct PackedBatch {
  std::vector<int32_t> tokens;       // [T] token ids as the model sees them
  std::vector<int32_t> cu_seqlens;   // [N + 1]
  std::vector<int32_t> masked_rows;  // [M] the real ones ascend
  std::vector<int32_t> targets;      // [M] true token ids
  std::vector<int32_t> mask_counts;  // [N] `<mask>` tokens of each sequence, for token dropout
  std::vector<int64_t> sequences;    // [N] which sequence of the data set each one is
  int64_t real_tokens = 0;           // rows that are residues, START or END
  int64_t real_sequences = 0;
  int64_t real_masked = 0;

  int64_t rows() const { return static_cast<int64_t>(tokens.size()); }
};

// The fixed size of every micro-batch of a run: bounds that no micro-batch of whole packs can pass.
struct BatchShape {
  int64_t rows = 0;         // T = micro_batch_tokens
  int64_t max_seq_len = 0;  // rows of the longest sequence
  int64_t sequences = 0;  // N = rows / least_room(max_seq_len) real ones + ⌈rows / max_seq_len⌉ inert ones
  int64_t masked = 0;     // M = ⌊p · rows + max(0, 1 − 2p) · rows / least_room(max_seq_len)⌋
};

// A sequence of n rows takes at least least_room() rows of a pack, which bounds N; it has at most p · (n − 2)
// + 1 masked positions, and the sum of that over N sequences bounds M.
BatchShape fixed_shape(int64_t micro_batch_tokens, int64_t max_seq_len, double mlm_probability);

// This rank's part of one global batch, and the whole batch's size.
struct GlobalBatch {
  std::vector<PackedBatch> micro_batches;  // as many on every rank; packs rank, rank + ranks, … in turn
  DataState begin, end;                    // state before and after it
  int64_t tokens = 0;                      // real tokens of the WHOLE global batch
  int64_t sequences = 0;
  int64_t packs = 0;          // packs used
  double squared_tokens = 0;  // Σ n² over its sequences: attention FLOPs
  double wait_seconds = 0;    // how long next() had to wait for it
};

}  // namespace esmscale::data
