// Names of enumerations: one table each, from which parsing, printing, help and errors all follow.
//
//   template <>
//   struct EnumNames<config::Precision> {
//     static constexpr std::pair<config::Precision, std::string_view> table[] = {{config::Precision::fp32,
//     "fp32"}, …};
//   };
#pragma once

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace esmscale {

template <class E>
struct EnumNames;

template <class E>
concept Named = requires {
  EnumNames<E>::table;
};

template <Named E>
constexpr std::string_view enum_name(E value) {
  for (const auto& [known, name] : EnumNames<E>::table)
    if (known == value) return name;
  return "?";
}

template <Named E>
constexpr std::optional<E> find_enum(std::string_view wanted) {
  for (const auto& [value, name] : EnumNames<E>::table)
    if (name == wanted) return value;
  return std::nullopt;
}

// All names, in the order of the table.
template <Named E>
std::vector<std::string> enum_names() {
  std::vector<std::string> names;
  for (const auto& [value, name] : EnumNames<E>::table) names.emplace_back(name);
  return names;
}

// A usage error, which lists the names, when `name` is none of them; `where` is the flag or key.
template <Named E>
E enum_from_name(std::string_view name, std::string_view where) {
  if (const std::optional<E> value = find_enum<E>(name)) return *value;
  const std::vector<std::string> names = enum_names<E>();
  throw usage_error({.where = std::string(where),
                     .expected = "one of " + join(names, ", "),
                     .found = text("'", name, "'"),
                     .advice = did_you_mean(name, names)});
}

}  // namespace esmscale
