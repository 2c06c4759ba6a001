// manifest.json, the file that makes a folder a data set: written last, and read first.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"

#include <filesystem>
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

// The folder inside the output in which prepare works until everything is complete.
inline constexpr std::string_view kStageName = ".preparing";

}  // namespace esmscale::data
