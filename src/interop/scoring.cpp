#include "esmscale/interop/scoring.h"

namespace esmscale::interop {
namespace {

int64_t rows_of(const data::FastaRecord& record) {
  return static_cast<int64_t>(record.residues.size()) + 2;
}

// How many of the records fill a pass; at least one.
size_t count_for_pass(std::span<const data::FastaRecord> records, int64_t batch_rows) {
  size_t count = 1;
  for (int64_t rows = rows_of(records[0]); count < records.size(); ++count) {
    rows += rows_of(records[count]);
    if (rows > batch_rows) break;
  }
  return count;
}

}  // namespace

data::PackedBatch pack_records(std::span<const data::FastaRecord> records, const data::TokenList& tokens) {
  data::PackedBatch batch;
  batch.cu_seqlens.push_back(0);
  for (size_t i = 0; i < records.size(); ++i) {
    int32_t masks = 0;
    batch.tokens.push_back(tokens.start());
    for (const uint8_t code : records[i].residues) {
      batch.tokens.push_back(code == data::kMaskLetter ? tokens.mask() : tokens.letter(code));
      masks += code == data::kMaskLetter;
    }
    batch.tokens.push_back(tokens.end());
    batch.cu_seqlens.push_back(static_cast<int32_t>(batch.tokens.size()));
    batch.mask_counts.push_back(masks);
    batch.sequences.push_back(static_cast<int64_t>(i));
  }
  batch.real_tokens = batch.rows();
  batch.real_sequences = static_cast<int64_t>(records.size());
  return batch;
}

void score_records(model::Engine& engine, const model::Weights& weights,
                   std::span<const data::FastaRecord> records, const ScoringOptions& options,
                   const std::function<void(const data::FastaRecord&, const SequenceScores&)>& take) {
  const data::TokenList& tokens = data::TokenList::of(weights.config.alphabet);
  while (!records.empty()) {
    const auto pass = records.first(count_for_pass(records, options.batch_rows));
    records = records.subspan(pass.size());
    const model::DeviceBatch batch =
        model::to_device(pack_records(pass, tokens), weights.config, tokens, weights.flat.device());
    const at::Tensor hidden_TD = engine.hidden(batch);
    const at::Tensor logits_TV = engine.logits(hidden_TD).cpu();
    const at::Tensor hidden_on_host = hidden_TD.cpu();
    int64_t begin = 0;
    for (const data::FastaRecord& record : pass) {
      const int64_t rows = rows_of(record);
      take(record, {.logits_TV = logits_TV.narrow(0, begin, rows).contiguous(),
                    .hidden_TD = hidden_on_host.narrow(0, begin, rows).contiguous()});
      begin += rows;
    }
  }
}

}  // namespace esmscale::interop
