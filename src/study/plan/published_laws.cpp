#include "esmscale/study/plan/published_laws.h"

#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws_json.h"

#include <algorithm>

namespace esmscale::study {

const std::vector<std::string>& published_law_names() {
  static const std::vector<std::string> names{"cheng-mlm", "hoffmann", "kaplan", "nanoprot",
                                              "paper-exponents"};
  return names;
}

laws::LawFile published_law(const std::string& name) {
  const std::vector<std::string>& names = published_law_names();
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw usage_error({.where = "--law",
                       .expected = "one of " + join(names, ", ") + ", or --laws FILE",
                       .found = name,
                       .advice = did_you_mean(name, names)});
  laws::LawFile laws = laws::read_laws(config::find_config("laws/" + name + ".json"));
  laws.path = "the built-in law " + name;
  return laws;
}

}  // namespace esmscale::study
