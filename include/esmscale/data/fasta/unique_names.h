// Identifiers of a file whose records name something that must be unique, such as tensors or files.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace esmscale::data {

class UniqueNames {
 public:
  // With `renames` the second `a` becomes `a_2`, the third `a_3`, unless that name was taken; otherwise a
  // repeated identifier is an Error that names both records. `file` is for the error.
  UniqueNames(std::string file, bool renames) : file_(std::move(file)), renames_(renames) {}

  // The name of the next record.
  std::string take(const std::string& identifier);

  bool contains(const std::string& name) const { return records_.contains(name); }
  int64_t renamed() const { return renamed_; }

 private:
  std::string file_;
  bool renames_;
  int64_t record_ = 0, renamed_ = 0;
  std::unordered_map<std::string, int64_t> records_;  // by name: the number of its record
  std::unordered_map<std::string, int64_t> copies_;   // by identifier: how many records have had it
};

}  // namespace esmscale::data
