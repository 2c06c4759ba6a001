// What `info` reports of a data set: the JSON document, and the same for people.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/data/dataset/dataset.h"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace esmscale::cli {

// Is it a data set's folder, whole, damaged or interrupted?
bool is_dataset(const std::filesystem::path& path);

// A data set, and its first sequences as sets of their own: the paper's samples that fit, and those of
// `prefixes` sequences, what a run with data.sequences trains on. With `verify` every byte is read again
// against its checksum. The first that does not hold is an Error, and so is a prefix that is too large.
struct DatasetInfo {
  struct Prefix {
    std::string name;
    int64_t sequences = 0, residues = 0;
    int64_t tokens() const { return residues + 2 * sequences; }
  };

  DatasetInfo(const std::filesystem::path& path, bool verify, const std::vector<int64_t>& prefixes);

  data::Dataset dataset;
  std::vector<Prefix> prefixes{};
  bool is_verified;
};

// {"kind": "dataset", "sequences", "tokens", "residues", …, "prefixes", "verified"}.
Json to_json(const DatasetInfo& info);
void print(std::ostream& out, const DatasetInfo& info);

}  // namespace esmscale::cli
