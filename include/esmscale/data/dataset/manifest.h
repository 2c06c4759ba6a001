// manifest.json, the file that makes a folder a data set: written last, and read first.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::data {

// The document: {"format", "version", "hash", "split", "content": {counts, seed, "files": […]}, "provenance",
// "holdout_report"}. "hash" is the checksum of "content", so provenance and reports do not change the
// identity.
Json manifest_document(const DatasetManifest& manifest, const std::vector<FileRecord>& files,
                       const Json& provenance);

// The document of a folder, its checksum, format, version and hash checked. An interrupted prepare (no
// manifest) and a folder that never was a data set each get an Error of their own.
Json read_manifest(const std::filesystem::path& folder);

// The content of a document. Error, with the file in `folder` and the key, when a key is missing, has another
// type or is out of bounds, or when the name of a file leads out of the folder.
DatasetManifest manifest_of(const Json& document, const std::filesystem::path& folder);
std::vector<FileRecord> files_of(const Json& document, const std::filesystem::path& folder);

// What a check of the holdout against a training set found. Identities are fractions.
struct HoldoutReport {
  std::string training_hash;
  double largest_identity = 1;
  std::vector<std::string> subset_hashes{};  // of sets whose sequences the training set holds, too
  double identity_limit = 0;
  int64_t above_limit = 0;  // sequences of the holdout with a training neighbour above it
  std::string split{};      // "": that of the manifest
};
// Error, with `where` and the key, where it is no such report (docs/formats.md).
HoldoutReport holdout_report_from(const Json& report, const std::string& where);
// The report that is attached to the document of `folder`; nullopt for none.
std::optional<HoldoutReport> holdout_report_of(const Json& document, const std::filesystem::path& folder);

// The folder inside the output in which prepare works until everything is complete.
inline constexpr std::string_view kStageName = ".preparing";

}  // namespace esmscale::data
