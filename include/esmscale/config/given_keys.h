// Which keys a user wrote, apart from those that keep their defaults.
#pragma once

#include "esmscale/config/config.h"

#include <span>
#include <string>
#include <vector>

namespace esmscale::config {

// The keys ("model.layers") that the file and the settings give.
std::vector<std::string> given_keys(const ConfigSource& source, std::span<const std::string> settings);

}  // namespace esmscale::config
