#include "downstream/passes.h"

#include <ATen/ops/log_softmax.h>

namespace esmscale::downstream {
namespace {

void append(const Pass& pass, int64_t number, const data::TokenList& tokens, data::PackedBatch& batch) {
  const auto begin = static_cast<int32_t>(batch.tokens.size());
  const auto rows = static_cast<int32_t>(pass.tokens.size());
  batch.tokens.insert(batch.tokens.end(), pass.tokens.begin(), pass.tokens.end());
  if (pass.masked) {
    batch.tokens[static_cast<size_t>(begin + *pass.masked)] = tokens.mask();
    batch.masked_rows.push_back(begin + *pass.masked);
  } else {
    for (int32_t row = 0; row < rows; ++row) batch.masked_rows.push_back(begin + row);
  }
  batch.cu_seqlens.push_back(begin + rows);
  batch.mask_counts.push_back(pass.masked ? 1 : 0);
  batch.sequences.push_back(number);
  batch.real_tokens += rows;
  ++batch.real_sequences;
}

// The rows of interest take the place of training's masked rows.
at::Tensor log_probabilities(model::Engine& engine, const config::ModelConfig& model,
                             data::PackedBatch& batch) {
  batch.targets.assign(batch.masked_rows.size(), 0);
  batch.real_masked = static_cast<int64_t>(batch.masked_rows.size());
  const model::DeviceBatch on_device =
      model::to_device(batch, model, data::TokenList::of(model.alphabet), engine.device());
  const at::Tensor hidden_RD = engine.hidden(on_device).index_select(0, on_device.masked_rows_M);
  return at::log_softmax(engine.logits(hidden_RD).to(at::kCPU).to(at::kDouble), 1);
}

}  // namespace

std::vector<int32_t> tokens_of(std::span<const uint8_t> residues, const data::TokenList& tokens) {
  std::vector<int32_t> ids{tokens.start()};
  for (const uint8_t code : residues) ids.push_back(tokens.letter(code));
  ids.push_back(tokens.end());
  return ids;
}

void run_passes(model::Engine& engine, const config::ModelConfig& model, size_t passes,
                const std::function<Pass(size_t)>& pass, int64_t batch_rows,
                const std::function<void(size_t, const at::Tensor& log_p_RV)>& take) {
  const data::TokenList& tokens = data::TokenList::of(model.alphabet);
  const model::WeightCastScope same_weights(engine);
  for (size_t next = 0; next < passes;) {
    data::PackedBatch batch{.cu_seqlens = {0}};
    std::vector<int64_t> wanted;
    const size_t first = next;
    do {
      const size_t before = batch.masked_rows.size();
      append(pass(next), static_cast<int64_t>(next), tokens, batch);
      wanted.push_back(static_cast<int64_t>(batch.masked_rows.size() - before));
      ++next;
    } while (next < passes && batch.rows() + static_cast<int64_t>(pass(next).tokens.size()) <= batch_rows);
    const at::Tensor log_p_RV = log_probabilities(engine, model, batch);
    int64_t row = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      take(first + i, log_p_RV.narrow(0, row, wanted[i]));
      row += wanted[i];
    }
  }
}

}  // namespace esmscale::downstream
