// Ready layouts of arms, by name: what a study of a usual question varies, from the values of its base.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/study/arms.h"

#include <string>
#include <string_view>
#include <vector>

namespace esmscale::study {

struct Layout {
  const char* name;
  const char* question;
};
std::vector<Layout> layouts();

struct LayoutArms {
  std::vector<Factor> factors;          // the base's own value first, where it is one of them
  std::vector<std::string> settings{};  // key.path=value, over the base
};

// Usage error for a name that is none, and for what the layout needs and lacks. `data`: folder of
// the training set, "" where it is not known.
LayoutArms arms_of_layout(std::string_view name, const config::RunConfig& base, const std::string& data);

}  // namespace esmscale::study
