#include "esmscale/core/error.h"
#include "esmscale/data/dataset/manifest.h"
#include "esmscale/data/prepare/prepare.h"

#include <nlohmann/json.hpp>

namespace esmscale::data {
namespace {

// True if results can be labelled by it.
bool is_holdout_report(const Json& report) {
  if (!report.is_object() || !report.value("training_hash", Json()).is_string()) return false;
  const Json identity = report.value("largest_identity", Json());
  return identity.is_number() && identity >= 0 && identity <= 1 &&
         report.value("identity_limit", Json(0.0)).is_number() &&
         report.value("above_limit", Json(0)).is_number_integer() &&
         report.value("split", Json("")).is_string();
}

}  // namespace

void attach_holdout_report(const std::filesystem::path& folder, const Json& report) {
  if (!is_holdout_report(report))
    throw Error({.where = "the report of " + folder.string(),
                 .expected =
                     "an object with training_hash, a text, and largest_identity, a number in 0 to 1; "
                     "and, if they are there, identity_limit, a number, above_limit, a whole number, "
                     "and split, a text",
                 .found = to_text(report),
                 .advice = "scripts/uniref/holdout.sh writes such a report"});
  Json document = read_manifest(folder);
  document["holdout_report"] = report;
  if (const std::string split = report.value("split", ""); !split.empty()) document["split"] = split;
  write_checked_json(folder / kManifestName, document);
}

}  // namespace esmscale::data
