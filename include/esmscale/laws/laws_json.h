// laws.json: what a fit found, for people and for plan (keys in docs/laws.md).
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/laws/law_file.h"
#include "esmscale/laws/laws.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

inline constexpr const char* kLawsFormat = "esmscale laws 1";

Json to_json(const Laws& laws);

// Objects over several lines, lists of numbers on one.
std::string readable_text(const Json& json);

// What planning needs of a fit that has just been made.
LawFile law_file(const Laws& laws);

// The same of a file. Error names the file and the key that is missing or wrong.
LawFile read_laws(const std::filesystem::path& file);

}  // namespace esmscale::laws
