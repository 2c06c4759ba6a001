// What the tests of the loader load, and what came of it.
#pragma once

#include "data/loader/batch_content.h"
#include "esmscale/data/loader/loader.h"
#include "support/protein_set.h"

#include <optional>
#include <vector>

namespace esmscale::data {

// 1,500 sequences, some with X and some longer than the crop, in global batches of 8 packs.
inline const Dataset& dataset() {
  static const ProteinSet set(ProteinSet::random(1500, 60));
  return set.dataset();
}

inline LoaderOptions options() {
  return {.seed = 9,
          .max_seq_len = 128,
          .pack_tokens = 256,
          .batch_tokens = 2048,
          .micro_batch_tokens = 512,
          .epochs = 2};
}

inline std::vector<GlobalBatch> all_batches(const LoaderOptions& options, DataState from = {}) {
  std::vector<GlobalBatch> batches;
  Loader loader(dataset(), options, from);
  while (std::optional<GlobalBatch> batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

inline std::vector<Seen> content(const GlobalBatch& batch) {
  std::vector<Seen> seen;
  for (const PackedBatch& micro : batch.micro_batches) append_content(micro, seen);
  return seen;
}

}  // namespace esmscale::data
