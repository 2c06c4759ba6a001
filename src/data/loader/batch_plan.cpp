#include "data/loader/batch_plan.h"

#include "esmscale/data/loader/masking.h"

#include <algorithm>
#include <numeric>

namespace esmscale::data {

namespace {

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// A state at the end of an epoch is the beginning of the next one.
DataState normalised(DataState state, int64_t sequences) {
  return state.next == sequences ? DataState{state.epoch + 1, 0} : state;
}

}  // namespace

int64_t micro_batches_of(int64_t packs, const LoaderOptions& options) {
  return divide_up(divide_up(packs, options.ranks), options.micro_batch_tokens / options.pack_tokens);
}

PackRange packs_of_micro_batch(int64_t micro, int64_t packs, const LoaderOptions& options) {
  const int64_t stride = options.micro_batch_tokens / options.pack_tokens * options.ranks;
  return {micro * stride + options.rank, std::min(packs, (micro + 1) * stride)};
}

BatchPlanner::BatchPlanner(const EpochSample& sample, const LoaderOptions& options, DataState from)
    : sample_(sample),
      seed_(options.seed),
      epochs_(options.epochs),
      pack_tokens_(options.pack_tokens),
      max_seq_len_(options.max_seq_len),
      ramp_(batch_ramp(options)),
      state_(normalised(from, sample.size())),
      tokens_(options.tokens_before),
      order_(seed_, state_.epoch, sample.size()),
      packer_(packer_at(tokens_)) {}

Packer BatchPlanner::packer_at(int64_t tokens) const {
  return {ramp_.rows_at(tokens) / pack_tokens_, pack_tokens_, max_seq_len_};
}

std::optional<BatchPlan> BatchPlanner::next() {
  if (state_.epoch >= epochs_) return std::nullopt;
  if (order_.epoch() != state_.epoch) order_ = EpochOrder(seed_, state_.epoch, order_.sequences());

  if (packer_.total_room() != ramp_.rows_at(tokens_)) packer_ = packer_at(tokens_);

  BatchPlan plan;
  plan.begin = state_;
  plan.tokens_before = tokens_;
  int64_t room = 0;
  for (int64_t position = state_.next; position < order_.sequences() && room <= packer_.total_room();
       ++position) {
    plan.sequences.push_back(sample_.sequence(state_.epoch, order_.at(position)));
    const int64_t rows = rows_of(sample_.length(plan.sequences.back()), max_seq_len_ - 2);
    plan.rows.push_back(static_cast<int32_t>(rows));
    room += packer_.room(rows);
  }
  plan.packing = packer_.pack(plan.rows);
  plan.sequences.resize(plan.packing.sequences());
  plan.rows.resize(plan.packing.sequences());
  tokens_ = std::accumulate(plan.rows.begin(), plan.rows.end(), tokens_);
  state_ = normalised({state_.epoch, state_.next + plan.packing.sequences()}, order_.sequences());
  plan.end = state_;
  return plan;
}

}  // namespace esmscale::data
