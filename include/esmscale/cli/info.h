// What `info` says of each kind of path: the JSON document, and the same for people.
#pragma once

#include "esmscale/core/json.h"

#include <filesystem>
#include <iosfwd>

namespace esmscale {

// Is it a data set's folder, whole, damaged or interrupted?
bool is_dataset(const std::filesystem::path& path);

// {"kind": "dataset", "sequences", "tokens", "residues", …, "verified"}. With `verify` every byte is read
// again against its checksum; the first that does not hold is an Error.
Json dataset_info(const std::filesystem::path& path, bool verify);
void print_dataset_info(std::ostream& out, const Json& info);

}  // namespace esmscale
