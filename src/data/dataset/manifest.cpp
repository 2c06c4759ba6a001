#include "esmscale/data/dataset/manifest.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/enum_names.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <cstdint>

#include <nlohmann/json.hpp>

namespace esmscale {

template <>
struct EnumNames<data::FileKind> {
  using enum data::FileKind;
  static constexpr std::pair<data::FileKind, std::string_view> table[] = {{shard, "shard"},
                                                                          {lengths, "lengths"},
                                                                          {index, "index"},
                                                                          {identifiers, "identifiers"},
                                                                          {fingerprints, "fingerprints"},
                                                                          {clusters, "clusters"}};
};

}  // namespace esmscale

namespace esmscale::data {
namespace {

Json to_json(const FileRecord& file) {
  return {{"name", file.name},
          {"kind", enum_name(file.kind)},
          {"bytes", file.bytes},
          {"items", file.items},
          {"payload_checksum", file.payload_checksum}};
}

// Far above any data set, and low enough that sums and products of a few such numbers fit into 64 bits.
constexpr int64_t kMostItems = int64_t{1} << 45, kMostBytes = int64_t{1} << 55;

FileKind kind_from(const JsonReader& json) {
  if (const auto kind = find_enum<FileKind>(json.text())) return *kind;
  json.fail("the kind of a data set's file");
}

FileRecord file_from(const JsonReader& json) {
  return {.kind = kind_from(json.at("kind")),
          .name = json.at("name").file_name(),
          .bytes = static_cast<uint64_t>(json.integer("bytes", sizeof(FileHeader), kMostBytes)),
          .items = static_cast<uint64_t>(json.integer("items", 0, kMostItems)),
          .payload_checksum = json.text("payload_checksum")};
}

std::vector<FileRecord> files_in(const JsonReader& content) {
  std::vector<FileRecord> files;
  for (const JsonReader& file : content.array("files")) files.push_back(file_from(file));
  return files;
}

[[noreturn]] void fail_missing(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(folder))
    throw Error({.where = folder.string(),
                 .expected = "the folder of a data set",
                 .found = fs::exists(folder) ? "a file" : "nothing",
                 .advice = "make one with `esmscale prepare`"});
  const bool interrupted =
      fs::exists(folder / kStageName) || fs::exists(folder / file_name(FileKind::lengths));
  throw Error(
      {.where = folder.string(),
       .expected = "a data set, which has a manifest.json",
       .found = interrupted ? "what an interrupted prepare left" : "no manifest.json",
       .advice = interrupted ? "run `esmscale prepare` again" : "name the output of `esmscale prepare`"});
}

// What was read, with its file's name: a document with a good checksum may still be another program's.
JsonReader reader_of(const Json& document, const std::filesystem::path& folder) {
  return {document, (folder / kManifestName).string()};
}

}  // namespace

Json manifest_document(const DatasetManifest& manifest, const std::vector<FileRecord>& files,
                       const Json& provenance) {
  Json counts = Json::object();
  for (size_t code = 0; code < kLetters.size(); ++code)
    counts[std::string(1, kLetters[code])] = manifest.residue_counts[code];
  Json list = Json::array();
  for (const FileRecord& file : files) list.push_back(to_json(file));
  Json content = {{"sequences", manifest.sequences}, {"residues", manifest.residues},
                  {"tokens", manifest.tokens},       {"max_length", manifest.max_length},
                  {"seed", manifest.seed},           {"eval_length", manifest.eval_length},
                  {"residue_counts", counts},        {"files", list}};
  if (manifest.clusters > 0) content["clusters"] = manifest.clusters;
  return {{"format", kDatasetFormat}, {"version", kDatasetVersion}, {"hash", checksum_hex(to_text(content))},
          {"split", manifest.split},  {"content", content},         {"provenance", provenance}};
}

Json read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kManifestName;
  if (!std::filesystem::exists(path)) fail_missing(folder);
  Json document = read_checked_json(path);
  const JsonReader reader = reader_of(document, folder);
  reader.require_format(kDatasetFormat, kDatasetVersion);
  if (const std::string hash = checksum_hex(to_text(reader.object("content").json()));
      reader.text("hash") != hash)
    throw Error({.where = path.string(),
                 .expected = "hash " + hash + ", as its content has",
                 .found = reader.text("hash"),
                 .advice = "prepare the data set again"});
  return document;
}

DatasetManifest manifest_of(const Json& document, const std::filesystem::path& folder) {
  const JsonReader reader = reader_of(document, folder), content = reader.object("content");
  DatasetManifest manifest{.sequences = content.integer("sequences", 0, kMostItems),
                           .residues = content.integer("residues", 0, kMostBytes),
                           .clusters = content.integer_or("clusters", 0, 1, kMostItems),
                           .tokens = content.integer("tokens", 0, kMostBytes),
                           .max_length = content.integer("max_length", 0, UINT32_MAX),
                           .seed = content.at("seed").bits(),
                           .eval_length = content.integer("eval_length", 1),
                           .hash = reader.text("hash"),
                           .split = reader.text("split")};
  const JsonReader counts = content.object("residue_counts");
  for (size_t code = 0; code < kLetters.size(); ++code)
    manifest.residue_counts[code] = counts.integer(kLetters.substr(code, 1), 0, kMostBytes);
  for (const FileRecord& file : files_in(content)) {
    manifest.bytes += static_cast<int64_t>(file.bytes);
    manifest.shards += file.kind == FileKind::shard;
  }
  if (manifest.tokens != manifest.residues + 2 * manifest.sequences)
    content.at("tokens").fail(
        text("residues + 2 · sequences = ", manifest.residues + 2 * manifest.sequences));
  manifest.unigram_entropy = unigram_entropy(manifest.residue_counts);
  manifest.baseline_loss = bert_baseline_loss(manifest.residue_counts);
  return manifest;
}

HoldoutReport holdout_report_from(const Json& report, const std::string& where) {
  const JsonReader json(report, where);
  HoldoutReport result{.training_hash = json.text("training_hash"),
                       .largest_identity = json.number("largest_identity"),
                       .identity_limit = json.number_or("identity_limit", 0),
                       .above_limit = json.integer_or("above_limit", 0),
                       .split = json.text_or("split", "")};
  if (result.largest_identity < 0 || result.largest_identity > 1)
    json.at("largest_identity").fail("a number from 0 to 1");
  if (json.has("subset_hashes"))
    for (const JsonReader& hash : json.array("subset_hashes")) result.subset_hashes.push_back(hash.text());
  return result;
}

std::optional<HoldoutReport> holdout_report_of(const Json& document, const std::filesystem::path& folder) {
  if (!document.contains("holdout_report")) return std::nullopt;
  return holdout_report_from(document["holdout_report"],
                             (folder / kManifestName).string() + ": holdout_report");
}

std::vector<FileRecord> files_of(const Json& document, const std::filesystem::path& folder) {
  return files_in(reader_of(document, folder).object("content"));
}

}  // namespace esmscale::data
