#include "checkpoint/tensor_file.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cstring>
#include <sstream>
#include <string_view>
#include <unordered_map>

#include <ATen/ops/empty.h>
#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlock = 8 << 20;  // bytes under one checksum

std::span<const std::byte> bytes_of_tensor(const at::Tensor& flat) {
  return {static_cast<const std::byte*>(flat.const_data_ptr()), flat.nbytes()};
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

std::span<const std::byte> bytes_of_entry(const SafetensorsFile& file, const std::string& name,
                                          at::IntArrayRef shape) {
  const TensorEntry* entry = file.find(name);
  if (!entry || entry->dtype != "F32" || entry->shape != shape.vec())
    throw Error({.where = file.path().string(),
                 .expected = text("tensor ", name, " F32 ", shape),
                 .found = entry ? text(entry->dtype, " ", at::IntArrayRef(entry->shape)) : "none"});
  return file.bytes(*entry);
}

}  // namespace

std::vector<std::string> block_checksums(std::span<const std::byte> bytes, size_t first, size_t every) {
  std::vector<std::string> sums;
  for (size_t at = first * kBlock; at < bytes.size(); at += every * kBlock) {
    const auto block = bytes.subspan(at, std::min(kBlock, bytes.size() - at));
    sums.push_back(checksum_hex({reinterpret_cast<const char*>(block.data()), block.size()}));
  }
  return sums;
}

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

void write_tensors(const fs::path& path, uint64_t data_offset, const std::vector<TensorEntry>& entries,
                   std::span<const optim::StatePart> parts) {
  std::unordered_map<std::string_view, uint64_t> begins;
  for (const TensorEntry& entry : entries) begins[entry.name] = data_offset + entry.begin;
  OutputFile file(path, OutputFile::Begin::in_place);
  for (const optim::StatePart& part : parts)
    file.write_at(begins.at(part.name) + sizeof(float) * static_cast<uint64_t>(part.begin),
                  bytes_of_tensor(part.values.cpu()));
  file.close();
}

void verify_blocks(const fs::path& path, const JsonReader& metadata, dist::Ranks& ranks) {
  const MappedFile file(path);
  if (const int64_t bytes = metadata.integer("bytes"); static_cast<uint64_t>(bytes) != file.bytes().size())
    throw Error({.where = path.string(),
                 .expected = text(bytes, " bytes"),
                 .found = std::to_string(file.bytes().size()),
                 .advice = "use another checkpoint of the run"});
  std::vector<std::string> blocks;
  for (const JsonReader& block : metadata.array("blocks")) blocks.push_back(block.text());
  const std::string mine = damage_in(file, blocks, ranks);
  for (const std::string& damage : ranks.exchange("checkpoint: checksums", mine))
    if (!damage.empty())
      throw Error(
          {.where = path.string() + damage,
           .expected = "the checksum in checkpoint.json",
           .found = "another",
           .advice = "the file is damaged or belongs to another checkpoint; use another one of the run"});
}

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

int64_t read_part(const SafetensorsFile& file, const optim::StatePart& part, at::IntArrayRef shape) {
  const auto bytes = bytes_of_entry(file, part.name, shape);
  const at::Tensor host = at::empty({part.values.numel()}, at::kFloat);
  std::memcpy(host.mutable_data_ptr(), bytes.data() + sizeof(float) * static_cast<size_t>(part.begin),
              host.nbytes());
  part.values.copy_(host);
  return static_cast<int64_t>(host.nbytes());
}

}  // namespace esmscale::checkpoint
