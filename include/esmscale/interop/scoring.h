// Sequences through a model: logits and hidden states of every residue, for variant scoring and for comparing
// with other programs.
#pragma once

#include "esmscale/data/fasta/fasta.h"
#include "esmscale/model/engine.h"

#include <cstdint>
#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

namespace esmscale::interop {

// START, the letters and END of each record; kMaskLetter is <mask>. The batch has no masked positions and no
// targets.
data::PackedBatch pack_records(std::span<const data::FastaRecord> records, const data::TokenList& tokens);

// One sequence of n residues, START and END included: fp32, contiguous, on the CPU.
struct SequenceScores {
  at::Tensor logits_TV;  // [n + 2, V]
  at::Tensor hidden_TD;  // [n + 2, D], after the final norm
};

struct ScoringOptions {
  // Rows of a forward pass; a longer sequence has a pass of its own, and 0 gives each sequence a pass of its
  // own, so that not even the last bit depends on its neighbours.
  int64_t batch_rows = 0;
};

// Calls `take` for every record, in order. `engine` was made from `weights`. Nothing is cropped.
void score_records(model::Engine& engine, const model::Weights& weights,
                   std::span<const data::FastaRecord> records, const ScoringOptions& options,
                   const std::function<void(const data::FastaRecord&, const SequenceScores&)>& take);

}  // namespace esmscale::interop
