#include "esmscale/data/fasta/unique_names.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

namespace esmscale::data {

std::string UniqueNames::take(const std::string& identifier) {
  ++record_;
  int64_t& copies = ++copies_[identifier];
  const auto [first, is_new] = records_.try_emplace(identifier, record_);
  if (is_new) return identifier;
  if (!renames_)
    throw Error({.where = file_,
                 .expected = "each identifier once",
                 .found = text("'", identifier, "' in the records ", first->second, " and ", record_),
                 .advice = "rename one, or give --rename-repeats"});
  ++renamed_;
  std::string name = text(identifier, "_", copies);
  while (!records_.try_emplace(name, record_).second) name = text(identifier, "_", ++copies);
  return name;
}

}  // namespace esmscale::data
