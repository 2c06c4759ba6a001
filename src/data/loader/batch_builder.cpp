#include "data/loader/batch_builder.h"

#include "data/loader/packing.h"

#include <algorithm>
#include <cmath>

namespace esmscale::data {

BatchShape fixed_shape(int64_t micro_batch_tokens, int64_t max_seq_len, double mlm_probability) {
  const int64_t most_sequences = micro_batch_tokens / least_room(max_seq_len);
  const double masked = mlm_probability * static_cast<double>(micro_batch_tokens) +
                        std::max(0.0, 1 - 2 * mlm_probability) * static_cast<double>(most_sequences);
  return {.rows = micro_batch_tokens,
          .max_seq_len = max_seq_len,
          .sequences = most_sequences + (micro_batch_tokens + max_seq_len - 1) / max_seq_len,
          .masked = static_cast<int64_t>(masked)};
}

BatchBuilder::BatchBuilder(const TokenList& tokens, int64_t rows) : tokens_(tokens) {
  batch_.tokens.reserve(rows);
  batch_.cu_seqlens.push_back(0);
}

int64_t BatchBuilder::add(int64_t sequence, int64_t rows) {
  batch_.tokens.resize(batch_.tokens.size() + rows);
  batch_.cu_seqlens.push_back(static_cast<int32_t>(batch_.tokens.size()));
  batch_.sequences.push_back(sequence);
  batch_.mask_counts.push_back(0);
  masked_begin_.push_back(0);
  masked_count_.push_back(0);
  batch_.real_tokens += rows;
  return batch_.real_sequences++;
}

void BatchBuilder::fill(int64_t place, const MaskedWindow& window) {
  const auto& [letters, chosen] = window;
  const int32_t first_row = batch_.cu_seqlens[place];
  int32_t* row = batch_.tokens.data() + first_row;
  row[0] = tokens_.start();
  row[letters.size() + 1] = tokens_.end();
  const int32_t first_letter = tokens_.letter(0);
  for (size_t i = 0; i < letters.size(); ++i) row[i + 1] = first_letter + letters[i];

  masked_begin_[place] = static_cast<int64_t>(masked_.size());
  masked_count_[place] = static_cast<int64_t>(chosen.size());
  for (const ChosenResidue& residue : chosen) {
    int32_t& token = row[residue.place + 1];
    masked_.push_back({first_row + residue.place + 1, token});
    const bool is_mask = residue.shown == ChosenResidue::kMask;
    token = is_mask ? tokens_.mask() : first_letter + residue.shown;
    batch_.mask_counts[place] += is_mask;
  }
}

PackedBatch BatchBuilder::finish() {
  batch_.real_masked = static_cast<int64_t>(masked_.size());
  batch_.masked_rows.reserve(masked_.size());
  batch_.targets.reserve(masked_.size());
  for (size_t place = 0; place < masked_begin_.size(); ++place)
    for (int64_t i = 0; i < masked_count_[place]; ++i) {
      const Masked& masked = masked_[masked_begin_[place] + i];
      batch_.masked_rows.push_back(masked.row);
      batch_.targets.push_back(masked.target);
    }
  return std::move(batch_);
}

PackedBatch BatchBuilder::finish(const BatchShape& shape) {
  PackedBatch batch = finish();
  batch.tokens.resize(shape.rows, tokens_.pad());
  while (static_cast<int64_t>(batch.cu_seqlens.size()) <= shape.sequences) {
    const int64_t end = std::min(batch.cu_seqlens.back() + shape.max_seq_len, shape.rows);
    batch.cu_seqlens.push_back(static_cast<int32_t>(end));
  }
  batch.sequences.resize(shape.sequences, -1);
  batch.mask_counts.resize(shape.sequences, 0);
  batch.masked_rows.resize(shape.masked, 0);
  batch.targets.resize(shape.masked, -1);
  return batch;
}

}  // namespace esmscale::data
