#include "interop/tensor_set.h"

#include "esmscale/core/error.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"

#include <cstring>
#include <optional>
#include <set>

#include <ATen/ops/empty.h>
#include <nlohmann/json.hpp>

namespace esmscale::interop {
namespace {

namespace fs = std::filesystem;

std::optional<at::ScalarType> type_of(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "F16") return at::kHalf;
  if (dtype == "BF16") return at::kBFloat16;
  return std::nullopt;
}

[[noreturn]] void fail_without_safetensors(const fs::path& folder) {
  const bool is_pickled =
      fs::exists(folder / "pytorch_model.bin") || fs::exists(folder / "pytorch_model.bin.index.json");
  throw Error({.where = folder.string(),
               .expected = "model.safetensors or model.safetensors.index.json",
               .found = is_pickled ? "pytorch_model.bin, a Python pickle" : "neither",
               .advice = is_pickled ? "load it with transformers and call save_pretrained()" : ""});
}

// Without what torch.compile puts anywhere into a name, and DataParallel before it.
std::string plain_name(std::string_view name) {
  constexpr std::string_view kCompiled = "_orig_mod.", kParallel = "module.";
  std::string plain;
  for (size_t at; (at = name.find(kCompiled)) != name.npos; name.remove_prefix(at + kCompiled.size()))
    plain += name.substr(0, at);
  plain += name;
  if (plain.starts_with(kParallel)) plain.erase(0, kParallel.size());
  return plain;
}

}  // namespace

TensorSet::TensorSet(const fs::path& folder) : path_(folder / "model.safetensors") {
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(path_)) {
    add_all(path_);
  } else if (fs::exists(index)) {
    path_ = index;
    add_shards();
  } else {
    fail_without_safetensors(folder);
  }
}

void TensorSet::add_all(const fs::path& file) {
  files_.push_back(std::make_unique<SafetensorsFile>(file));
  for (const TensorEntry& entry : files_.back()->entries()) {
    const bool is_new = places_.try_emplace(plain_name(entry.name), files_.back().get(), &entry).second;
    if (!is_new)
      throw Error({.where = file.string(),
                   .expected = "each tensor once",
                   .found = text("a second ", plain_name(entry.name)),
                   .advice = "save the model again from one copy of its weights"});
  }
}

void TensorSet::add_shards() {
  std::map<std::string, std::string> weight_map;
  std::set<std::string> names;
  for (const auto& [key, name] : JsonReader::of_file(path_).object("weight_map").members()) {
    weight_map[key] = name.file_name();
    names.insert(weight_map[key]);
  }
  for (const std::string& name : names) add_all(path_.parent_path() / name);
  for (const auto& [key, name] : weight_map) {
    const auto place = places_.find(plain_name(key));
    if (place == places_.end() || place->second.file->path().filename() != name)
      throw Error({.where = (path_.parent_path() / name).string(),
                   .expected = text("tensor ", key, ", as the index says"),
                   .found = "none",
                   .advice = "download the folder's files again"});
  }
}

std::vector<std::string> TensorSet::keys() const {
  std::vector<std::string> all;
  for (const auto& [key, place] : places_) all.push_back(key);
  return all;
}

const TensorEntry* TensorSet::find(const std::string& key) const {
  const auto place = places_.find(key);
  return place == places_.end() ? nullptr : place->second.entry;
}

bool TensorSet::is_readable(const TensorEntry& entry) {
  return type_of(entry.dtype).has_value();
}

at::Tensor TensorSet::read(const std::string& key) const {
  const Place& place = places_.at(key);
  const at::Tensor stored = at::empty(place.entry->shape, *type_of(place.entry->dtype));
  const std::span<const std::byte> bytes = place.file->bytes(*place.entry);
  if (!bytes.empty())
    std::memcpy(stored.mutable_data_ptr(), bytes.data(), bytes.size());  // may not be aligned
  return stored.to(at::kFloat);
}

}  // namespace esmscale::interop
