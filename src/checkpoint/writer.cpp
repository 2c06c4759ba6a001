#include "esmscale/checkpoint/writer.h"

#include "checkpoint/info.h"
#include "checkpoint/tensor_file.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {
namespace {

namespace fs = std::filesystem;

// Weights, what the optimiser remembers and the averages, inv_freq.
std::vector<TensorEntry> entries_of(const config::RunConfig& config, bool is_training) {
  const std::vector<config::Parameter> table = config::parameter_table(config.model);
  std::vector<TensorEntry> entries;
  for (const config::Parameter& parameter : table)
    entries.push_back({.name = parameter.name, .dtype = "F32", .shape = parameter.shape});
  const auto add = [&](const std::vector<optim::StateTensor>& tensors) {
    for (const optim::StateTensor& tensor : tensors)
      entries.push_back({.name = tensor.name, .dtype = "F32", .shape = tensor.shape});
  };
  if (is_training) {
    add(optim::state_tensors(config.optimizer, table));
    add(optim::average_tensors(config.average, table));
  }
  entries.push_back({.name = "inv_freq", .dtype = "F32", .shape = {config.model.head_dim() / 2}});
  return entries;
}

bool has_moments(std::span<const optim::StatePart> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [](const auto& part) { return part.name.starts_with(optim::kFirstMoment); });
}

// Every rank does its part; where the disk is full for one of them, all get a NoRoom.
void do_together(dist::Ranks& ranks, std::string_view topic, const std::function<void()>& part) {
  std::string mine;
  try {
    part();
  } catch (const NoRoom& full) {
    mine = full.what();
  }
  for (const std::string& problem : ranks.exchange(topic, mine))
    if (!problem.empty()) throw NoRoom({.where = problem, .expected = "", .found = ""});
}

std::exception_ptr failure_of(const std::function<void()>& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

void rethrow(const std::exception_ptr& failure) {
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

std::vector<optim::StatePart> share_of_weights(const model::Weights& weights, const dist::Ranks& ranks) {
  const int64_t size = weights.flat.numel(), n = ranks.size();
  const int64_t begin = size * ranks.rank() / n, end = size * (ranks.rank() + 1) / n;
  const std::vector<config::FlatRange> ranges = weights.has_sharded_masters()
                                                    ? weights.masters.ranges()
                                                    : std::vector<config::FlatRange>{{begin, end - begin}};
  std::vector<optim::StatePart> parts;
  for (const config::FlatRange& range : ranges)
    for (const auto& [row, shared] : config::rows_in(weights.table, range)) {
      const config::Parameter& parameter = weights.table[row];
      parts.push_back({parameter.name, shared.begin - parameter.offset, weights.masters.of(shared)});
    }
  if (ranks.is_first()) parts.push_back({"inv_freq", 0, weights.inv_freq});
  return parts;
}

CheckpointWriter::CheckpointWriter(fs::path folder, CheckpointInfo info, std::vector<optim::StatePart> parts,
                                   dist::Ranks& ranks)
    : folder_(std::move(folder)), info_(std::move(info)), parts_(std::move(parts)), ranks_(ranks) {}

fs::path CheckpointWriter::file() const {
  return AtomicOutput::path_of(folder_) / kTensorFile;
}

void CheckpointWriter::begin() {
  const std::string kind = has_moments(parts_) ? "training" : "weights";
  entries_ = entries_of(info_.config, ranks_.from_first("checkpoint", kind) == "training");
  header_ = safetensors_header(entries_, {{"format", "esmscale"}});
  const uint64_t bytes = header_.size() + entries_.back().end;
  do_together(ranks_, "checkpoint: the file is there", [&] {
    if (!ranks_.is_first()) return;
    require_free_space(folder_, bytes + (1 << 20));
    output_.emplace(folder_);
    make_own_folder(output_->path());
    begin_tensor_file(file(), header_, bytes);
  });
}

void CheckpointWriter::write() noexcept {
  failure_ = failure_of([&] { write_tensors(file(), header_.size(), entries_, parts_); });
}

void CheckpointWriter::confirm() {
  do_together(ranks_, "checkpoint: all have written", [&] { rethrow(failure_); });
  parts_.clear();  // copies of the state, perhaps
}

void CheckpointWriter::checksum() noexcept {
  failure_ = failure_of(
      [&] { sums_ = join(block_checksums(MappedFile(file()).bytes(), ranks_.rank(), ranks_.size()), " "); });
}

void CheckpointWriter::publish() {
  rethrow(failure_);
  const std::vector<std::string> by_rank = ranks_.exchange("checkpoint: checksums", sums_);
  do_together(ranks_, "checkpoint: published", [&] {
    if (!ranks_.is_first()) return;
    write_metadata(output_->path(), info_, header_.size() + entries_.back().end, interleave(by_rank));
    output_->publish();
  });
}

void CheckpointWriter::save() {
  begin();
  write();
  confirm();
  checksum();
  publish();
}

}  // namespace esmscale::checkpoint
