#include "esmscale/data/loader/evaluation.h"

#include "data/loader/batch_builder.h"
#include "data/loader/patient_reader.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <utility>

namespace esmscale::data {

struct EvaluationBatches::Impl {
  Impl(const Dataset& data, const EvaluationOptions& given)
      : holdout(data),
        options(given),
        tokens(given.tokens ? *given.tokens : TokenList::of(29)),
        reader(data, {}),
        masker(data.manifest().seed, MaskSource::evaluation, given.mlm_probability, given.pattern),
        end(given.max_sequences > 0 ? std::min(given.max_sequences, data.sequences()) : data.sequences()),
        upcoming(given.rank) {
    if (given.ranks < 1 || given.rank < 0 || given.rank >= given.ranks)
      throw usage_error({.where = "evaluation",
                         .expected = "a rank from 0 to ranks - 1",
                         .found = text("rank ", given.rank, " of ", given.ranks)});
  }

  int64_t rows(int64_t sequence) const {
    return rows_of(holdout.lengths()[sequence], holdout.manifest().eval_length);
  }

  void append(BatchBuilder& builder, int64_t sequence) {
    const int64_t place = builder.add(sequence, rows(sequence));
    const auto residues = reader.residues(sequence);
    const int64_t longest = holdout.manifest().eval_length;
    const std::span<const uint8_t> letters =
        masker.window(0, sequence, residues, longest).letters;  // of every draw
    builder.fill(place, {letters, masker.choose(options.draw, sequence, letters)});
  }

  const Dataset& holdout;
  const EvaluationOptions options;
  const TokenList& tokens;
  PatientReader reader;
  Masker masker;
  int64_t end, upcoming;
};

EvaluationBatches::EvaluationBatches(const Dataset& holdout, const EvaluationOptions& options)
    : impl_(std::make_unique<Impl>(holdout, options)) {}

EvaluationBatches::~EvaluationBatches() = default;

int64_t EvaluationBatches::window_begin(int64_t sequence) const {
  const DatasetManifest& manifest = impl_->holdout.manifest();
  return crop_begin(manifest.seed, MaskSource::evaluation, 0, sequence, impl_->holdout.lengths()[sequence],
                    manifest.eval_length);
}

bool EvaluationBatches::next(PackedBatch& batch) {
  Impl& state = *impl_;
  if (state.upcoming >= state.end) return false;
  BatchBuilder builder(state.tokens, state.options.batch_rows);
  do {
    state.append(builder, state.upcoming);
    state.upcoming += state.options.ranks;
  } while (state.upcoming < state.end &&
           builder.rows() + state.rows(state.upcoming) <= state.options.batch_rows);
  batch = builder.finish();
  return true;
}

}  // namespace esmscale::data
