#include "esmscale/checkpoint/checkpoint.h"

#include "checkpoint/info.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <sstream>
#include <string_view>
#include <unordered_map>

#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensorFile = "tensors.safetensors";
constexpr size_t kBlock = 8 << 20;  // bytes under one checksum

std::span<const std::byte> bytes_of_tensor(const at::Tensor& flat) {
  return {static_cast<const std::byte*>(flat.const_data_ptr()), flat.nbytes()};
}

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

// Of blocks first, first + every, …
std::vector<std::string> block_checksums(std::span<const std::byte> bytes, size_t first = 0,
                                         size_t every = 1) {
  std::vector<std::string> sums;
  for (size_t at = first * kBlock; at < bytes.size(); at += every * kBlock) {
    const auto block = bytes.subspan(at, std::min(kBlock, bytes.size() - at));
    sums.push_back(checksum_hex({reinterpret_cast<const char*>(block.data()), block.size()}));
  }
  return sums;
}

// Block b's checksum is word b / n of what rank b mod n said.
std::vector<std::string> interleave(const std::vector<std::string>& by_rank) {
  std::vector<std::istringstream> words;
  for (const std::string& said : by_rank) words.emplace_back(said);
  std::vector<std::string> sums;
  for (std::string sum; words[sums.size() % words.size()] >> sum;) sums.push_back(sum);
  return sums;
}

void begin_tensor_file(const fs::path& path, std::string_view header, uint64_t bytes) {
  OutputFile file(path);
  file.write(header);
  file.resize(bytes);
  file.close();
}

// This rank's share of the weights, in the table's order at the beginning of the data section.
void write_weights(OutputFile& file, uint64_t data_offset, const model::Weights& weights,
                   const dist::Ranks& ranks) {
  const int64_t size = weights.flat.numel(), n = ranks.size();
  const int64_t begin = size * ranks.rank() / n, end = size * (ranks.rank() + 1) / n;
  file.write_at(data_offset + sizeof(float) * static_cast<uint64_t>(begin),
                bytes_of_tensor(weights.flat.narrow(0, begin, end - begin).cpu()));
}

// Into a file that has its header. Rank 0 has inv_freq besides.
void write_tensors(const fs::path& path, uint64_t data_offset, const std::vector<TensorEntry>& entries,
                   const model::Weights& weights, std::span<const optim::StatePart> state,
                   const dist::Ranks& ranks) {
  std::unordered_map<std::string_view, uint64_t> begins;
  for (const TensorEntry& entry : entries) begins[entry.name] = data_offset + entry.begin;
  OutputFile file(path, OutputFile::Begin::in_place);
  write_weights(file, data_offset, weights, ranks);
  for (const optim::StatePart& part : state)
    file.write_at(begins.at(part.name) + sizeof(float) * static_cast<uint64_t>(part.begin),
                  bytes_of_tensor(part.values.cpu()));
  if (ranks.is_first()) file.write_at(begins.at("inv_freq"), bytes_of_tensor(weights.inv_freq.cpu()));
  file.close();
}

// Where the file is damaged, found by looking at blocks rank, rank + ranks, …; "" when they are whole.
std::string damage_in(const MappedFile& file, const std::vector<std::string>& stored,
                      const dist::Ranks& ranks) {
  const auto rank = static_cast<size_t>(ranks.rank()), size = static_cast<size_t>(ranks.size());
  const std::vector<std::string> mine = block_checksums(file.bytes(), rank, size);
  for (size_t i = 0; i < mine.size(); ++i)
    if (const size_t block = rank + i * size; block >= stored.size() || stored[block] != mine[i])
      return text(", bytes from ", block * kBlock);
  return "";
}

void verify_blocks(const fs::path& path, const JsonReader& json, dist::Ranks& ranks) {
  const MappedFile file(path);
  if (const int64_t bytes = json.integer("bytes"); static_cast<uint64_t>(bytes) != file.bytes().size())
    throw Error({.where = path.string(),
                 .expected = text(bytes, " bytes"),
                 .found = std::to_string(file.bytes().size()),
                 .advice = "use another checkpoint of the run"});
  std::vector<std::string> blocks;
  for (const JsonReader& block : json.array("blocks")) blocks.push_back(block.text());
  const std::string mine = damage_in(file, blocks, ranks);
  for (const std::string& damage : ranks.exchange("checkpoint: checksums", mine))
    if (!damage.empty())
      throw Error(
          {.where = path.string() + damage,
           .expected = "the checksum in checkpoint.json",
           .found = "another",
           .advice = "the file is damaged or belongs to another checkpoint; use another one of the run"});
}

std::span<const std::byte> bytes_of_entry(const SafetensorsFile& file, const std::string& name,
                                          at::IntArrayRef shape) {
  const TensorEntry* entry = file.find(name);
  if (!entry || entry->dtype != "F32" || entry->shape != shape.vec())
    throw Error({.where = file.path().string(),
                 .expected = text("tensor ", name, " F32 ", shape),
                 .found = entry ? text(entry->dtype, " ", at::IntArrayRef(entry->shape)) : "none"});
  return file.bytes(*entry);
}

// Error when the file is too small for the model: memory is taken only for weights that may be there.
void require_room(const SafetensorsFile& file, const config::ModelConfig& model) {
  const auto needed =
      sizeof(float) * static_cast<uint64_t>(config::total_size(config::parameter_table(model)));
  if (const uint64_t bytes = file.entries().empty() ? 0 : file.entries().back().end; bytes < needed)
    throw Error(
        {.where = file.path().string(),
         .expected = text("at least ", needed, " bytes of weights, as checkpoint.json describes them"),
         .found = text(bytes, " bytes")});
}

void read_tensor(const SafetensorsFile& file, const std::string& name, const at::Tensor& into) {
  const auto bytes = bytes_of_entry(file, name, into.sizes());
  std::memcpy(into.mutable_data_ptr(), bytes.data(), bytes.size());
}

// To any device.
void read_part(const SafetensorsFile& file, const optim::StatePart& part, at::IntArrayRef shape) {
  const auto bytes = bytes_of_entry(file, part.name, shape);
  const at::Tensor host = at::empty({part.values.numel()}, at::kFloat);
  std::memcpy(host.mutable_data_ptr(), bytes.data() + sizeof(float) * static_cast<size_t>(part.begin),
              host.nbytes());
  part.values.copy_(host);
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

Checkpoint load_set(const fs::path& folder, dist::Ranks& ranks, optim::WeightSet set) {
  const Json json = read_metadata(folder);
  Checkpoint checkpoint{.info = info_from_json(json, folder / run::kCheckpointMetadata), .weights = {}};
  verify_blocks(folder / kTensorFile, {json, (folder / run::kCheckpointMetadata).string()}, ranks);

  const SafetensorsFile file(folder / kTensorFile);
  require_room(file, checkpoint.info.config.model);
  checkpoint.weights = model::make_weights(checkpoint.info.config.model, at::kCPU);
  const model::Weights& weights = checkpoint.weights;
  checkpoint.averages = averages_in(file, weights.table);
  if (set != optim::WeightSet::trained && !holds(checkpoint.averages, set))
    refuse_average(folder, set, checkpoint.averages);
  for (size_t p = 0; p < weights.table.size(); ++p)
    read_tensor(file, optim::tensor_group(set) + weights.table[p].name, weights.all[p]);
  read_tensor(file, "inv_freq", weights.inv_freq);
  checkpoint.has_moments = file.find(optim::kFirstMoment + weights.table.front().name) != nullptr;
  return checkpoint;
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

void restore(optim::Optimizer& optimizer, const fs::path& folder, const CheckpointInfo& info,
             const std::vector<config::Parameter>& table) {
  const SafetensorsFile file(folder / kTensorFile);
  std::unordered_map<std::string, std::vector<int64_t>> shapes;
  for (const optim::StateTensor& tensor : optim::state_tensors(info.config.optimizer, table))
    shapes[tensor.name] = tensor.shape;
  for (const optim::StatePart& part : optimizer.state()) read_part(file, part, shapes.at(part.name));
  optimizer.set_updates(info.updates);
}

void restore(optim::Averages& averages, const fs::path& folder, const std::vector<config::Parameter>& table) {
  const SafetensorsFile file(folder / kTensorFile);
  std::unordered_map<std::string, std::vector<int64_t>> shapes;
  for (const optim::WeightSet set : averages_in(file, table)) {
    if (!holds(averages.kept(), set)) continue;
    for (const config::Parameter& parameter : table)
      shapes[optim::tensor_group(set) + parameter.name] = parameter.shape;
    for (const optim::StatePart& part : averages.state_of(set)) read_part(file, part, shapes.at(part.name));
  }
}

Checkpoint load_checkpoint(const fs::path& folder, optim::WeightSet set) {
  dist::Ranks alone;
  return load_set(folder, alone, set);
}

Checkpoint load_checkpoint(const fs::path& folder, dist::Ranks& ranks) {
  return load_set(folder, ranks, optim::WeightSet::trained);
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
