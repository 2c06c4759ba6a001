#include "esmscale/core/error.h"
#include "esmscale/core/files/output_set.h"
#include "study/arms/rows.h"
#include "study/study_file.h"

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBase = "base.json";

}  // namespace

void write_arms(const fs::path& folder, const ArmsRequest& request) {
  require_factors(request.grid.factors, "esmscale study arms", /*may_be_none=*/false);
  require_plain("--prefix", request.prefix);
  const RowTemplate shared{.base = request.base, .base_file = kBase, .grid = &request.grid};
  Json runs = Json::array();
  for (const Settings& combination : combinations(request.grid.factors))
    for (int64_t seed = 1; seed <= request.grid.seeds; ++seed)
      runs.push_back(row_of(shared, name_of(request.prefix, combination, seed), combination, seed));
  if (fs::exists(folder) && !(fs::is_directory(folder) && fs::is_empty(folder)))
    throw Error({.where = folder.string(),
                 .expected = "an absent or empty folder for the study",
                 .found = "something there already",
                 .advice = "choose another DIR"});
  config::RunConfig base = request.base;
  base.study = {.name = request.name};
  OutputSet files(folder);
  files.add("configs/" + std::string(kBase), esmscale::to_text(config::to_json(base), 2) + "\n");
  const Json study{
      {"format", kStudyFormat}, {"version", kStudyVersion}, {"name", request.name}, {"runs", runs}};
  files.add("study.json", esmscale::to_text(study, 2) + "\n");
  files.publish();
}

}  // namespace esmscale::study
