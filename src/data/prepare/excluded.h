// The list of prepare --exclude.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>

namespace esmscale::data {

// The identifiers of --exclude: the first word of each line, a leading '>' allowed. They are kept as hashes
// of 128 bits, which differ for different identifiers: 16 bytes each.
class ExcludedIdentifiers {
 public:
  // An empty path: none. Error when they take more than `memory` bytes.
  ExcludedIdentifiers(const std::filesystem::path& file, int64_t memory);
  bool contains(std::string_view identifier) const;
  const std::string& first() const { return first_; }  // of the file
  size_t size() const { return sorted_.size(); }

 private:
  std::deque<std::array<uint64_t, 2>> sorted_;  // grows without a copy
  std::string first_;
};

}  // namespace esmscale::data
