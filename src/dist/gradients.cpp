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

Gradients::Gradients(const model::Weights& weights, Group& group, config::ShardLayout layout, int zero_stage,
                     config::ReduceType travels_in)
    : weights_(weights),
      group_(group),
      layout_(std::move(layout)),
      stage_(group.size() > 1 ? zero_stage : 0),
      travel_type_(travels_in == config::ReduceType::bf16 ? at::kBFloat16 : at::kFloat),
      whole_(layout_.buckets().size()),
      chunk_(layout_.buckets().size()),
      waiting_(layout_.buckets().size()) {
  for (size_t b = 0; b < whole_.size(); ++b) {
    if (stage_ > 0) chunk_[b] = zeros(layout_.buckets()[b].chunk, at::kFloat);
    if (stage_ < 2) whole_[b] = zeros(room_of(b), at::kFloat);
  }
}

int64_t Gradients::room_of(size_t bucket) const {
  return layout_.buckets()[bucket].chunk * layout_.ranks();
}

at::Tensor Gradients::zeros(int64_t count, at::ScalarType type) {
  const at::Tensor made = at::zeros({count}, weights_.flat.options().dtype(type));
  alive_bytes_ += made.nbytes();
  peak_bytes_ = std::max(peak_bytes_, alive_bytes_);
  return made;
}

void Gradients::zero() {
  for (const at::Tensor& sum : stage_ == 2 ? chunk_ : whole_) sum.zero_();
}

void Gradients::begin_micro_batch(bool is_last) {
  is_last_ = is_last;
  for (InFlight& one : in_flight_) one.is_from_previous = true;
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

bool Gradients::is_in_flight_from_previous(size_t bucket) const {
  return std::any_of(in_flight_.begin(), in_flight_.end(),
                     [&](const InFlight& one) { return one.bucket == bucket && one.is_from_previous; });
}

void Gradients::make_room(size_t bucket) {
  while (is_in_flight_from_previous(bucket)) complete_oldest();
  if (whole_[bucket].defined()) return;
  while (in_flight_.size() > 1) complete_oldest();
  whole_[bucket] = zeros(room_of(bucket), at::kFloat);
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
  const bool is_copied = travel_type_ != at::kFloat;
  while (is_copied && in_flight_.size() > 1) complete_oldest();
  InFlight reduction{.bucket = bucket, .whole = whole_[bucket].to(travel_type_)};
  if (stage_ == 0) {
    reduction.pending = group_.all_reduce(reduction.whole);
  } else {
    const bool is_own_buffer = stage_ == 2 || is_copied;
    reduction.chunk = is_own_buffer ? zeros(layout_.buckets()[bucket].chunk, travel_type_) : chunk_[bucket];
    reduction.pending = group_.reduce_scatter(reduction.chunk, reduction.whole);
  }
  in_flight_.push_back(std::move(reduction));
}

void Gradients::complete_oldest() {
  InFlight& oldest = in_flight_.front();
  oldest.pending.wait();
  if (stage_ == 0) whole_[oldest.bucket].copy_(oldest.whole);
  if (stage_ == 1) chunk_[oldest.bucket].copy_(oldest.chunk);
  if (stage_ == 2) {
    chunk_[oldest.bucket] += oldest.chunk;
    alive_bytes_ -= whole_[oldest.bucket].nbytes();
    whole_[oldest.bucket].reset();
  }
  if (oldest.chunk.defined() && !oldest.chunk.is_same(chunk_[oldest.bucket]))
    alive_bytes_ -= oldest.chunk.nbytes();
  in_flight_.pop_front();
}

// At stage 2 the reductions of one micro-batch may still be in flight during the next one.
void Gradients::end_micro_batch() {
  if (!launches_now_) return;
  std::fill(waiting_.begin(), waiting_.end(), 0);
  launch_in_order();
  while (is_last_ && !in_flight_.empty()) complete_oldest();
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
