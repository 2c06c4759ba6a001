// Ready layouts of arms, by name: what a study of a usual question varies, from the values of its base.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/study/arms/arms.h"

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

// Usage error for a name that is none, and for what the layout needs of the grid (its data set, its factors)
// and lacks.
LayoutArms arms_of_layout(std::string_view name, const config::RunConfig& base, const ArmGrid& grid);

// Puts the layout's settings before `settings`, which win over them, and its factors before those of the
// grid. `base` has the settings already. Nothing for the name "".
void apply_layout(std::string_view name, const config::RunConfig& base, std::vector<std::string>& settings,
                  ArmGrid& grid);

}  // namespace esmscale::study
