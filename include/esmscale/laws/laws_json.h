// laws.json: what a fit found, for people and for plan (keys in docs/laws.md).
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/laws/laws.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

inline constexpr const char* kLawsFormat = "esmscale laws 1";

Json to_json(const Laws& laws);

Json finite(double value);  // null where it is not

// Objects over several lines, lists of numbers on one.
std::string readable_text(const Json& json);

// What plan needs of a laws.json.
struct LawFile {
  struct Powers {  // an approach that gives power laws only
    PowerLaw parameters, tokens;
    std::vector<std::vector<double>> draws;  // a, b, G_N, G_D
  };
  std::string path;
  Basis basis;
  std::optional<ParametricLaw> approach3;
  std::vector<ParametricLaw> draws;  // of approach 3
  std::optional<Powers> approach1, approach2;
  double curvature = 0;  // approach 2's mean c in ΔL = c·(ln N/N_opt)²; 0: unknown
  std::optional<RepeatLaw> repeats;
  double lowest_flops = 0, highest_flops = 0;  // of the points
  std::vector<std::string> warnings;
};

// The same of a fit that has just been made.
LawFile law_file(const Laws& laws);

// Error names the file and the key that is missing or wrong.
LawFile read_laws(const std::filesystem::path& file);

}  // namespace esmscale::laws
