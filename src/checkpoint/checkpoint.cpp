#include "esmscale/checkpoint/checkpoint.h"

#include "checkpoint/info.h"
#include "checkpoint/tensor_file.h"
#include "esmscale/checkpoint/writer.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"

#include <algorithm>
#include <unordered_map>

#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {
namespace {

namespace fs = std::filesystem;

Json read_metadata(const fs::path& folder) {
  const fs::path file = folder / run::kCheckpointMetadata;
  if (!fs::is_regular_file(file))
    throw Error({.where = folder.string(),
                 .expected = "a checkpoint (checkpoint.json and tensors.safetensors)",
                 .found = "none"});
  return read_checked_json(file);
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
  std::vector<optim::StatePart> parts = share_of_weights(weights, ranks);
  parts.insert(parts.end(), mine.begin(), mine.end());
  CheckpointWriter(folder, info, std::move(parts), ranks).save();
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
      bytes += read_part(file, {parameter.name, shared.begin - parameter.offset, weights.masters.of(shared)},
                         parameter.shape);
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
