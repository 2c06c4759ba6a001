// Published laws by name, for who has no study of his own: other people's points by our rule, or the
// constants that are published.
#pragma once

#include "esmscale/laws/law_file.h"

#include <string>
#include <vector>

namespace esmscale::study {

inline constexpr const char* kDefaultLaw = "cheng-mlm";

// cheng-mlm, hoffmann, kaplan, nanoprot, paper-exponents: configs/laws/NAME.json.
const std::vector<std::string>& published_law_names();

// Usage error for another name; Error where the installation lacks the file.
laws::LawFile published_law(const std::string& name);

}  // namespace esmscale::study
