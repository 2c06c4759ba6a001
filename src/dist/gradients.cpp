#include "esmscale/dist/gradients.h"

#include <algorithm>

#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

namespace esmscale::dist {
namespace {

Group& one_process() {
  static Group group;
  return group;
}

}  // namespace

Gradients::Gradients(const model::Weights& weights)
    : Gradients(weights, one_process(), config::ShardLayout(weights.table, 1), 0) {}

Gradients::Gradients(const model::Weights& weights, Group& group, config::ShardLayout layout, int zero_stage)
    : weights_(weights),
      group_(group),
      layout_(std::move(layout)),
      stage_(group.size() > 1 ? zero_stage : 0),
      whole_(layout_.buckets().size()),
      chunk_(layout_.buckets().size()),
      waiting_(layout_.buckets().size()) {
  for (size_t b = 0; b < whole_.size(); ++b) {
    if (stage_ > 0) chunk_[b] = floats(layout_.buckets()[b].chunk);
    if (stage_ < 2) whole_[b] = floats(room_of(b));
  }
}

int64_t Gradients::room_of(size_t bucket) const {
  return layout_.buckets()[bucket].chunk * layout_.ranks();
}

at::Tensor Gradients::floats(int64_t count) {
  alive_floats_ += count;
  peak_floats_ = std::max(peak_floats_, alive_floats_);
  return at::zeros({count}, weights_.flat.options().dtype(at::kFloat));
}

void Gradients::zero() {
  for (const at::Tensor& sum : stage_ == 2 ? chunk_ : whole_) sum.zero_();
}

void Gradients::begin_micro_batch(bool is_last) {
  launches_now_ = group_.size() > 1 && (stage_ == 2 || is_last);
  next_ = whole_.size();
  for (size_t b = 0; b < waiting_.size(); ++b)
    waiting_[b] = layout_.buckets()[b].end_row - layout_.buckets()[b].first_row;
}

at::Tensor Gradients::buffer(size_t p) {
  const size_t b = layout_.bucket_of(p);
  make_room(b);
  const config::Parameter& parameter = weights_.table[p];
  return whole_[b]
      .narrow(0, parameter.offset - layout_.buckets()[b].range.begin, parameter.size())
      .view(parameter.shape);
}

void Gradients::make_room(size_t bucket) {
  if (whole_[bucket].defined()) return;
  while (in_flight_.size() > 1) complete_oldest();
  whole_[bucket] = floats(room_of(bucket));
}

void Gradients::ready(size_t p) {
  if (!launches_now_) return;
  --waiting_[layout_.bucket_of(p)];
  launch_in_order();
}

void Gradients::launch_in_order() {
  while (next_ > 0 && waiting_[next_ - 1] == 0) launch(--next_);
}

void Gradients::launch(size_t bucket) {
  make_room(bucket);
  InFlight reduction{.bucket = bucket, .whole = whole_[bucket]};
  if (stage_ == 0) {
    reduction.pending = group_.all_reduce(reduction.whole);
  } else {
    reduction.chunk = stage_ == 1 ? chunk_[bucket] : floats(layout_.buckets()[bucket].chunk);
    reduction.pending = group_.reduce_scatter(reduction.chunk, reduction.whole);
  }
  in_flight_.push_back(std::move(reduction));
}

void Gradients::complete_oldest() {
  InFlight& oldest = in_flight_.front();
  oldest.pending.wait();
  if (stage_ == 2) {
    chunk_[oldest.bucket] += oldest.chunk;
    alive_floats_ -= oldest.chunk.numel() + oldest.whole.numel();
    whole_[oldest.bucket].reset();
  }
  in_flight_.pop_front();
}

void Gradients::end_micro_batch() {
  if (!launches_now_) return;
  std::fill(waiting_.begin(), waiting_.end(), 0);
  launch_in_order();
  while (!in_flight_.empty()) complete_oldest();
}

std::vector<config::FlatRange> Gradients::ranges() const {
  return layout_.updated(group_.rank(), stage_);
}

std::vector<at::Tensor> Gradients::updated_shard() const {
  std::vector<at::Tensor> parts;
  const std::vector<config::FlatRange> updated = ranges();
  for (size_t b = 0; b < updated.size(); ++b)
    parts.push_back((stage_ > 0 ? chunk_ : whole_)[b].narrow(0, 0, updated[b].size));
  return parts;
}

std::vector<at::Tensor> Gradients::disjoint_shard() const {
  std::vector<at::Tensor> parts = updated_shard();
  if (stage_ > 0) return parts;
  for (size_t b = 0; b < parts.size(); ++b) {
    const config::Bucket& bucket = layout_.buckets()[b];
    const config::FlatRange range = layout_.owned(bucket, group_.rank());
    parts[b] = parts[b].narrow(0, range.begin - bucket.range.begin, range.size);
  }
  return parts;
}

std::string Gradients::first_non_finite() const {
  const std::vector<at::Tensor> parts = updated_shard();
  const std::vector<config::FlatRange> where = ranges();
  size_t first = weights_.table.size();
  for (size_t b = 0; b < parts.size(); ++b)
    for (const auto& [row, range] : config::rows_in(weights_.table, where[b])) {
      const at::Tensor part = parts[b].narrow(0, range.begin - where[b].begin, range.size);
      if (row < first && !at::isfinite(part).all().item<bool>()) first = row;
    }
  return first < weights_.table.size() ? weights_.table[first].name : "";
}

}  // namespace esmscale::dist
