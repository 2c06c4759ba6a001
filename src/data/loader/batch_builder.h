// Writes packed batches: places are given out in row order, filled in any order (the order in which reading
// is cheap), then what was masked is brought into row order.
#pragma once

#include "esmscale/data/alphabet.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/data/loader/masking.h"

#include <cstdint>
#include <vector>

namespace esmscale::data {

class BatchBuilder {
 public:
  // `rows` is how many are expected at most.
  BatchBuilder(const TokenList& tokens, int64_t rows);

  // The next place, for `rows` rows of a sequence; returns its number.
  int64_t add(int64_t sequence, int64_t rows);
  int64_t rows() const { return batch_.rows(); }

  // START, the window's letters (rows − 2) with what is shown for the chosen ones, END. Once for each place.
  void fill(int64_t place, const MaskedWindow& window);

  // The batch, as long as it is or brought to a fixed shape. REQUIRES that every place was filled.
  PackedBatch finish();
  PackedBatch finish(const BatchShape& shape);

 private:
  struct Masked {
    int32_t row, target;
  };

  const TokenList& tokens_;
  PackedBatch batch_;
  std::vector<Masked> masked_;         // in the order of filling
  std::vector<int64_t> masked_begin_;  // [N] where a place's masked positions begin in masked_
  std::vector<int64_t> masked_count_;  // [N]
};

}  // namespace esmscale::data
