#include "esmscale/checkpoint/checkpoint.h"

#include "checkpoint/info.h"
#include "checkpoint/tensor_file.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>

#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {
namespace {

namespace fs = std::filesystem;

// Weights, what the optimiser remembers, inv_freq.
std::vector<TensorEntry> entries_of(const model::Weights& weights,
                                    const std::vector<optim::StateTensor>& state) {
  std::vector<TensorEntry> entries;
  for (const config::Parameter& parameter : weights.table)
    entries.push_back({.name = parameter.name, .dtype = "F32", .shape = parameter.shape});
  for (const optim::StateTensor& tensor : state)
    entries.push_back({.name = tensor.name, .dtype = "F32", .shape = tensor.shape});
  entries.push_back({.name = "inv_freq", .dtype = "F32", .shape = {weights.inv_freq.numel()}});
  return entries;
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

Json read_metadata(const fs::path& folder) {
  const fs::path file = folder / run::kCheckpointMetadata;
  if (!fs::is_regular_file(file))
    throw Error({.where = folder.string(),
                 .expected = "a checkpoint (checkpoint.json and tensors.safetensors)",
                 .found = "none"});
  return read_checked_json(file);
}

void write_metadata(const fs::path& folder, const CheckpointInfo& info, const Json& bytes,
                    const Json& blocks) {
  Json json = info_to_json(info);
  json["bytes"] = bytes;
  json["blocks"] = blocks;
  write_checked_json(folder / run::kCheckpointMetadata, json);
}

bool holds(std::span<const optim::WeightSet> sets, optim::WeightSet set) {
  return std::find(sets.begin(), sets.end(), set) != sets.end();
}

std::vector<optim::WeightSet> averages_in(const SafetensorsFile& file,
                                          const std::vector<config::Parameter>& table) {
  std::vector<optim::WeightSet> averages;
  for (const optim::WeightSet set : {optim::WeightSet::ema, optim::WeightSet::last})
    if (file.find(optim::tensor_group(set) + table.front().name)) averages.push_back(set);
  return averages;
}

}  // namespace

void save_checkpoint(const fs::path& folder, const CheckpointInfo& info, const model::Weights& weights,
                     std::span<const optim::StatePart> mine, dist::Ranks& ranks) {
  std::vector<optim::StateTensor> state;
  if (ranks.from_first("checkpoint", mine.empty() ? "weights" : "training") == "training") {
    state = optim::state_tensors(info.config.optimizer, weights.table);
    const std::vector<optim::StateTensor> averages =
        optim::average_tensors(info.config.average, weights.table);
    state.insert(state.end(), averages.begin(), averages.end());
  }
  std::vector<TensorEntry> entries = entries_of(weights, state);
  const std::string header = safetensors_header(entries, {{"format", "esmscale"}});
  const uint64_t bytes = header.size() + entries.back().end;
  std::optional<AtomicOutput> output;  // rank 0's
  const fs::path file = AtomicOutput::path_of(folder) / kTensorFile;
  do_together(ranks, "checkpoint: the file is there", [&] {
    if (!ranks.is_first()) return;
    require_free_space(folder, bytes + (1 << 20));
    output.emplace(folder);
    make_own_folder(output->path());
    begin_tensor_file(file, header, bytes);
  });
  do_together(ranks, "checkpoint: all have written",
              [&] { write_tensors(file, header.size(), entries, weights, mine, ranks); });

  const std::string sums = join(block_checksums(MappedFile(file).bytes(), ranks.rank(), ranks.size()), " ");
  const std::vector<std::string> by_rank = ranks.exchange("checkpoint: checksums", sums);
  do_together(ranks, "checkpoint: published", [&] {
    if (!ranks.is_first()) return;
    write_metadata(output->path(), info, bytes, interleave(by_rank));
    output->publish();
  });
}

void save_checkpoint(const fs::path& folder, const CheckpointInfo& info, const model::Weights& weights) {
  dist::Ranks alone;
  save_checkpoint(folder, info, weights, {}, alone);
}

void rewrite_info(const fs::path& folder, const CheckpointInfo& info) {
  const Json there = read_metadata(folder);
  write_metadata(folder, info, there.at("bytes"), there.at("blocks"));
}

CheckpointContents check_checkpoint(const fs::path& folder, dist::Ranks& ranks) {
  const Json json = read_metadata(folder);
  CheckpointContents contents{.info = info_from_json(json, folder / run::kCheckpointMetadata)};
  verify_blocks(folder / kTensorFile, {json, (folder / run::kCheckpointMetadata).string()}, ranks);
  const SafetensorsFile file(folder / kTensorFile);
  require_room(file, contents.info.config.model);
  const std::vector<config::Parameter> table = config::parameter_table(contents.info.config.model);
  contents.averages = averages_in(file, table);
  contents.has_moments = file.find(optim::kFirstMoment + table.front().name) != nullptr;
  return contents;
}

int64_t restore(const model::Weights& weights, std::span<const config::FlatRange> ranges,
                const fs::path& folder) {
  const SafetensorsFile file(folder / kTensorFile);
  int64_t bytes = read_part(file, {"inv_freq", 0, weights.inv_freq}, weights.inv_freq.sizes());
  for (const config::FlatRange& range : ranges)
    for (const auto& [row, shared] : config::rows_in(weights.table, range)) {
      const config::Parameter& parameter = weights.table[row];
      bytes += read_part(
          file, {parameter.name, shared.begin - parameter.offset, weights.masters.of(shared)}, parameter.shape);
    }
  return bytes;
}

int64_t restore(optim::Optimizer& optimizer, const fs::path& folder, const CheckpointInfo& info,
                const std::vector<config::Parameter>& table) {
  const SafetensorsFile file(folder / kTensorFile);
  std::unordered_map<std::string, std::vector<int64_t>> shapes;
  for (const optim::StateTensor& tensor : optim::state_tensors(info.config.optimizer, table))
    shapes[tensor.name] = tensor.shape;
  int64_t bytes = 0;
  for (const optim::StatePart& part : optimizer.state()) bytes += read_part(file, part, shapes.at(part.name));
  optimizer.set_updates(info.updates);
  return bytes;
}

int64_t restore(optim::Averages& averages, const fs::path& folder,
                const std::vector<config::Parameter>& table) {
  const SafetensorsFile file(folder / kTensorFile);
  std::unordered_map<std::string, std::vector<int64_t>> shapes;
  int64_t bytes = 0;
  for (const optim::WeightSet set : averages_in(file, table)) {
    if (!holds(averages.kept(), set)) continue;
    for (const config::Parameter& parameter : table)
      shapes[optim::tensor_group(set) + parameter.name] = parameter.shape;
    for (const optim::StatePart& part : averages.state_of(set))
      bytes += read_part(file, part, shapes.at(part.name));
  }
  return bytes;
}

Checkpoint load_checkpoint(const fs::path& folder, optim::WeightSet set) {
  dist::Ranks alone;
  Checkpoint checkpoint{check_checkpoint(folder, alone), {}};
  if (set != optim::WeightSet::trained && !holds(checkpoint.averages, set))
    refuse_average(folder, set, checkpoint.averages);
  const SafetensorsFile file(folder / kTensorFile);
  checkpoint.weights = model::make_weights(checkpoint.info.config.model, at::kCPU);
  const model::Weights& weights = checkpoint.weights;
  for (size_t p = 0; p < weights.table.size(); ++p)
    read_tensor(file, optim::tensor_group(set) + weights.table[p].name, weights.all[p]);
  read_tensor(file, "inv_freq", weights.inv_freq);
  return checkpoint;
}

void refuse_average(const fs::path& path, optim::WeightSet wanted, std::span<const optim::WeightSet> there) {
  std::vector<std::string> names{std::string(enum_name(optim::WeightSet::trained))};
  for (const optim::WeightSet set : there) names.emplace_back(enum_name(set));
  throw usage_error({.where = "--weights",
                     .expected = text("weights that ", path.string(), " holds: ", join(names, ", ")),
                     .found = std::string(enum_name(wanted)),
                     .advice = "averages are kept by runs with average.ema_tokens or average.last_fraction"});
}

CheckpointInfo read_checkpoint_info(const fs::path& folder) {
  return info_from_json(read_metadata(folder), folder / run::kCheckpointMetadata);
}

bool is_checkpoint(const fs::path& folder) {
  return fs::is_regular_file(folder / run::kCheckpointMetadata);
}

fs::path resolve_checkpoint(const fs::path& path) {
  if (is_checkpoint(path)) return path;
  if (const auto newest = run::RunFolder(path).newest_checkpoint()) return newest->path;
  throw Error({.where = path.string(),
               .expected = "a checkpoint, or a run folder that holds one",
               .found = fs::exists(path) ? "neither" : "no such folder"});
}

}  // namespace esmscale::checkpoint
