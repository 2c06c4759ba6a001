#include "esmscale/core/error.h"
#include "esmscale/data/dataset/manifest.h"
#include "esmscale/data/prepare/prepare.h"

#include <nlohmann/json.hpp>

namespace esmscale::data {
namespace {

// Results can be labelled by it, or it is an Error that names all keys.
HoldoutReport checked(const Json& report, const std::filesystem::path& folder) {
  try {
    return holdout_report_from(report, "");
  } catch (const Error&) {
    throw Error({.where = "the report of " + folder.string(),
                 .expected =
                     "an object with training_hash, a text, and largest_identity, a number in 0 to 1; "
                     "and, if they are there, identity_limit, a number, above_limit, a whole number, "
                     "subset_hashes, a list of texts, and split, a text",
                 .found = to_text(report),
                 .advice = "scripts/uniref/holdout.sh writes such a report"});
  }
}

}  // namespace

void attach_holdout_report(const std::filesystem::path& folder, const Json& report) {
  const std::string split = checked(report, folder).split;
  Json document = read_manifest(folder);
  document["holdout_report"] = report;
  if (!split.empty()) document["split"] = split;
  write_checked_json(folder / kManifestName, document);
}

}  // namespace esmscale::data
