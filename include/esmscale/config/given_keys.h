// Which keys a user wrote, apart from those that keep their defaults.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace esmscale::config {

// The keys ("model.layers") that the file, looked up as find_config() does, and the settings give.
std::vector<std::string> given_keys(const std::filesystem::path& file, std::span<const std::string> settings);

}  // namespace esmscale::config
