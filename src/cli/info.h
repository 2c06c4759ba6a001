// What `info` says of each kind of path: the JSON document, and the same for people.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <vector>

namespace esmscale::cli {

// Is it a data set's folder, whole, damaged or interrupted?
bool is_dataset(const std::filesystem::path& path);

// {"kind": "dataset", "sequences", "tokens", "residues", …, "verified"}. With `verify` every byte is read
// again against its checksum; the first that does not hold is an Error. "prefixes" has the paper's samples
// that fit and those of `prefixes` sequences, what a run with data.sequences trains on; an Error when one is
// too large.
Json dataset_info(const std::filesystem::path& path, bool verify, const std::vector<int64_t>& prefixes = {});
void print_dataset_info(std::ostream& out, const Json& info);

}  // namespace esmscale::cli
