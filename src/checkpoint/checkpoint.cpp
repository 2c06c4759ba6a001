#include "esmscale/checkpoint/checkpoint.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"

#include <cstring>

#include "info.h"
#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensorFile = "tensors.safetensors";
constexpr const char* kFirst = "first_moment/";
constexpr const char* kSecond = "second_moment/";
constexpr size_t kBlock = 8 << 20;  // bytes under one checksum

std::span<const std::byte> bytes_of_tensor(const at::Tensor& flat) {
  return {static_cast<const std::byte*>(flat.const_data_ptr()), flat.nbytes()};
}

std::vector<TensorEntry> entries_of(const Weights& weights, bool with_moments) {
  std::vector<TensorEntry> entries;
  for (const char* group : {"", kFirst, kSecond})
    if (*group == 0 || with_moments)
      for (const Parameter& parameter : weights.table)
        entries.push_back({.name = group + parameter.name, .dtype = "F32", .shape = parameter.shape});
  entries.push_back({.name = "inv_freq", .dtype = "F32", .shape = {weights.inv_freq.numel()}});
  return entries;
}

std::vector<std::string> block_checksums(std::span<const std::byte> bytes) {
  std::vector<std::string> sums;
  for (size_t at = 0; at < bytes.size(); at += kBlock) {
    const auto block = bytes.subspan(at, std::min(kBlock, bytes.size() - at));
    sums.push_back(checksum_hex({reinterpret_cast<const char*>(block.data()), block.size()}));
  }
  return sums;
}

void verify_blocks(const SafetensorsFile& file, const MappedFile& whole, const Json& json) {
  if (json.at("bytes").get<uint64_t>() != whole.bytes().size())
    throw Error({.where = file.path().string(),
                 .expected = text(json.at("bytes").get<uint64_t>(), " bytes"),
                 .found = std::to_string(whole.bytes().size()),
                 .advice = "use another checkpoint of the run"});
  const auto stored = json.at("blocks").get<std::vector<std::string>>();
  const auto actual = block_checksums(whole.bytes());
  for (size_t b = 0; b < actual.size(); ++b)
    if (b >= stored.size() || stored[b] != actual[b])
      throw Error(
          {.where = text(file.path().string(), ", bytes from ", b * kBlock),
           .expected = "the checksum in checkpoint.json",
           .found = "another",
           .advice = "the file is damaged or belongs to another checkpoint; use another one of the run"});
}

void read_tensor(const SafetensorsFile& file, const std::string& name, const at::Tensor& into) {
  const TensorEntry* entry = file.find(name);
  if (!entry || entry->dtype != "F32" || entry->shape != into.sizes().vec())
    throw Error({.where = file.path().string(),
                 .expected = text("tensor ", name, " F32 ", into.sizes()),
                 .found = entry ? text(entry->dtype, " ", at::IntArrayRef(entry->shape)) : "none"});
  const auto bytes = file.bytes(*entry);
  std::memcpy(into.mutable_data_ptr(), bytes.data(), bytes.size());
}

Json read_metadata(const fs::path& folder) {
  const fs::path file = folder / kCheckpointMetadata;
  if (!fs::is_regular_file(file))
    throw Error({.where = folder.string(),
                 .expected = "a checkpoint (checkpoint.json and tensors.safetensors)",
                 .found = "none"});
  return read_checked_json(file);
}

}  // namespace

void save_checkpoint(const fs::path& folder, const CheckpointInfo& info, const Weights& weights,
                     const Moments* moments) {
  std::vector<TensorEntry> entries = entries_of(weights, moments != nullptr);
  const std::string header = safetensors_header(entries, {{"format", "esmscale"}});
  const uint64_t bytes = header.size() + entries.back().end;
  require_free_space(folder, bytes + (1 << 20));

  const fs::path aside = folder.string() + ".partial";
  fs::remove_all(aside);
  make_folder(aside);
  OutputFile file(aside / kTensorFile);
  file.write(header);
  file.write(bytes_of_tensor(weights.flat.cpu()));
  if (moments) {
    file.write(bytes_of_tensor(moments->first.cpu()));
    file.write(bytes_of_tensor(moments->second.cpu()));
  }
  file.write(bytes_of_tensor(weights.inv_freq.cpu()));
  file.close();

  Json json = info_to_json(info);
  json["bytes"] = bytes;
  json["blocks"] = block_checksums(MappedFile(aside / kTensorFile).bytes());
  write_checked_json(aside / kCheckpointMetadata, json);
  publish(aside, folder);
}

Checkpoint load_checkpoint(const fs::path& folder) {
  const Json json = read_metadata(folder);
  Checkpoint checkpoint{
      .info = info_from_json(json, folder / kCheckpointMetadata), .weights = {}, .moments = {}};
  const SafetensorsFile file(folder / kTensorFile);
  verify_blocks(file, MappedFile(folder / kTensorFile), json);

  checkpoint.weights = make_weights(checkpoint.info.config.model, at::kCPU);
  const Weights& weights = checkpoint.weights;
  for (size_t p = 0; p < weights.table.size(); ++p) read_tensor(file, weights.table[p].name, weights.all[p]);
  read_tensor(file, "inv_freq", weights.inv_freq);
  if (file.find(kFirst + weights.table.front().name)) {
    checkpoint.moments = Moments{at::empty_like(weights.flat), at::empty_like(weights.flat)};
    for (const Parameter& parameter : weights.table) {
      const auto part = [&](const at::Tensor& flat) {
        return flat.narrow(0, parameter.offset, parameter.size()).view(parameter.shape);
      };
      read_tensor(file, kFirst + parameter.name, part(checkpoint.moments->first));
      read_tensor(file, kSecond + parameter.name, part(checkpoint.moments->second));
    }
  }
  return checkpoint;
}

CheckpointInfo read_checkpoint_info(const fs::path& folder) {
  return info_from_json(read_metadata(folder), folder / kCheckpointMetadata);
}

bool is_checkpoint(const fs::path& folder) {
  return fs::is_regular_file(folder / kCheckpointMetadata);
}

fs::path resolve_checkpoint(const fs::path& path) {
  if (is_checkpoint(path)) return path;
  if (const auto newest = RunFolder(path).newest_checkpoint()) return newest->path;
  throw Error({.where = path.string(),
               .expected = "a checkpoint, or a run folder that holds one",
               .found = fs::exists(path) ? "neither" : "no such folder"});
}

}  // namespace esmscale
