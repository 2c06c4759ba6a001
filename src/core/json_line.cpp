#include "esmscale/core/json_line.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale {

double number_in(const Json& line, const std::string& key) {
  const auto place = line.find(key);
  return place != line.end() && place->is_number() ? place->get<double>() : NAN;
}

int64_t integer_in(const Json& line, const std::string& key, int64_t fallback) {
  const auto place = line.find(key);
  return place != line.end() && place->is_number_integer() ? place->get<int64_t>() : fallback;
}

std::string text_in(const Json& line, const std::string& key, const std::string& fallback) {
  const auto place = line.find(key);
  return place != line.end() && place->is_string() ? place->get<std::string>() : fallback;
}

}  // namespace esmscale
