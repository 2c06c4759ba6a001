#include "data/loader/batch_maker.h"

#include <algorithm>
#include <utility>

namespace esmscale::data {

namespace {

GlobalBatch totals(const BatchPlan& plan) {
  GlobalBatch batch;
  batch.begin = plan.begin;
  batch.end = plan.end;
  batch.sequences = plan.packing.sequences();
  batch.packs = plan.packing.packs();
  for (const int64_t rows : plan.rows) {
    batch.tokens += rows;
    batch.squared_tokens += static_cast<double>(rows * rows);
  }
  return batch;
}

}  // namespace

BatchMaker::BatchMaker(const Dataset& dataset, const LoaderOptions& options, std::stop_token stop)
    : options_(options),
      tokens_(options.tokens ? *options.tokens : TokenList::of(29)),
      shape_(fixed_shape(options.micro_batch_tokens, options.max_seq_len, mask_ramp(options).largest())),
      mask_ramp_(mask_ramp(options)),
      stop_(std::move(stop)),
      reader_(dataset, options.patience, stop_),
      masker_(options.seed, MaskSource::training, options.mlm_probability) {}

GlobalBatch BatchMaker::make(const BatchPlan& plan) {
  GlobalBatch batch = totals(plan);
  std::vector<BatchBuilder> builders;
  lay_out(plan, builders);
  masker_.set_probability(mask_ramp_.at(plan.tokens_before));
  // Frames hold neighbours: in the data set's order each is decoded once.
  std::sort(places_.begin(), places_.end(),
            [](const Place& a, const Place& b) { return a.sequence < b.sequence; });
  for (const Place& place : places_) {
    if (stop_.stop_requested()) return {};
    const auto residues = reader_.residues(place.sequence);
    builders[place.micro].fill(
        place.place, masker_.window(plan.begin.epoch, place.sequence, residues, options_.max_seq_len - 2));
  }
  for (BatchBuilder& builder : builders)
    batch.micro_batches.push_back(options_.fixed_shapes ? builder.finish(shape_) : builder.finish());
  return batch;
}

void BatchMaker::lay_out(const BatchPlan& plan, std::vector<BatchBuilder>& builders) {
  places_.clear();
  const int64_t packs = plan.packing.packs();
  for (int64_t micro = 0; micro < micro_batches_of(packs, options_); ++micro) {
    BatchBuilder& builder = builders.emplace_back(tokens_, options_.micro_batch_tokens);
    const PackRange range = packs_of_micro_batch(micro, packs, options_);
    for (int64_t g = range.first; g < range.end; g += options_.ranks)
      for (const int32_t member : plan.packing.pack(g)) {
        const int64_t place = builder.add(plan.sequences[member], plan.rows[member]);
        places_.push_back({plan.sequences[member], static_cast<int32_t>(micro), static_cast<int32_t>(place)});
      }
  }
}

}  // namespace esmscale::data
