#include "esmscale/data/dataset/manifest.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace esmscale::data {
namespace {

constexpr std::array<std::pair<FileKind, std::string_view>, 5> kKindNames{
    {{FileKind::shard, "shard"},
     {FileKind::lengths, "lengths"},
     {FileKind::index, "index"},
     {FileKind::identifiers, "identifiers"},
     {FileKind::fingerprints, "fingerprints"}}};

Json to_json(const FileRecord& file) {
  std::string_view kind;
  for (const auto& [value, name] : kKindNames)
    if (value == file.kind) kind = name;
  return {{"name", file.name},
          {"kind", kind},
          {"bytes", file.bytes},
          {"items", file.items},
          {"payload_checksum", file.payload_checksum}};
}

FileRecord file_from(const Json& json) {
  FileRecord file{.name = json.at("name"),
                  .bytes = json.at("bytes"),
                  .items = json.at("items"),
                  .payload_checksum = json.at("payload_checksum")};
  const std::string& kind = json.at("kind").get_ref<const std::string&>();
  for (const auto& [value, name] : kKindNames) {
    if (name != kind) continue;
    file.kind = value;
    return file;
  }
  throw Json::other_error::create(501, "unknown file kind " + kind, &json);
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

// A document with a good checksum may still be another program's: a missing key is an Error, not a crash.
template <class Read>
auto read_keys(Read read) {
  try {
    return read();
  } catch (const Json::exception& error) {
    throw Error({.where = std::string(kManifestName),
                 .expected = "the keys of a data set's manifest",
                 .found = error.what(),
                 .advice = "prepare the data set again"});
  }
}

}  // namespace

Json manifest_document(const DatasetManifest& manifest, const std::vector<FileRecord>& files,
                       const Json& provenance) {
  Json counts = Json::object();
  for (size_t code = 0; code < kLetters.size(); ++code)
    counts[std::string(1, kLetters[code])] = manifest.residue_counts[code];
  Json list = Json::array();
  for (const FileRecord& file : files) list.push_back(to_json(file));
  const Json content = {{"sequences", manifest.sequences}, {"residues", manifest.residues},
                        {"tokens", manifest.tokens},       {"max_length", manifest.max_length},
                        {"seed", manifest.seed},           {"eval_length", manifest.eval_length},
                        {"residue_counts", counts},        {"files", list}};
  return {{"format", kDatasetFormat}, {"version", kDatasetVersion}, {"hash", checksum_hex(to_text(content))},
          {"split", manifest.split},  {"content", content},         {"provenance", provenance}};
}

Json read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kManifestName;
  if (!std::filesystem::exists(path)) fail_missing(folder);
  Json document = read_checked_json(path);
  return read_keys([&] {
    if (document.at("format") != kDatasetFormat)
      throw Error({.where = path.string(),
                   .expected = text("format \"", kDatasetFormat, "\""),
                   .found = to_text(document.at("format")),
                   .advice = "name the output of `esmscale prepare`"});
    if (const int version = document.at("version"); version > kDatasetVersion)
      throw Error({.where = path.string(),
                   .expected = text("format version ", kDatasetVersion, " or older"),
                   .found = text("version ", version),
                   .advice = "use a newer esmscale"});
    const std::string hash = checksum_hex(to_text(document.at("content")));
    if (document.at("hash") != hash)
      throw Error({.where = path.string(),
                   .expected = "hash " + hash + ", as its content has",
                   .found = to_text(document.at("hash")),
                   .advice = "prepare the data set again"});
    return document;
  });
}

DatasetManifest manifest_of(const Json& document) {
  return read_keys([&] {
    const Json& content = document.at("content");
    DatasetManifest manifest{.sequences = content.at("sequences"),
                             .residues = content.at("residues"),
                             .tokens = content.at("tokens"),
                             .max_length = content.at("max_length"),
                             .seed = content.at("seed"),
                             .eval_length = content.at("eval_length"),
                             .hash = document.at("hash"),
                             .split = document.at("split")};
    for (size_t code = 0; code < kLetters.size(); ++code)
      manifest.residue_counts[code] = content.at("residue_counts").at(std::string(1, kLetters[code]));
    for (const FileRecord& file : files_of(document)) {
      manifest.bytes += static_cast<int64_t>(file.bytes);
      manifest.shards += file.kind == FileKind::shard;
    }
    manifest.unigram_entropy = unigram_entropy(manifest.residue_counts);
    manifest.baseline_loss = bert_baseline_loss(manifest.residue_counts);
    return manifest;
  });
}

std::vector<FileRecord> files_of(const Json& document) {
  return read_keys([&] {
    std::vector<FileRecord> files;
    for (const Json& file : document.at("content").at("files")) files.push_back(file_from(file));
    return files;
  });
}

}  // namespace esmscale::data
