// A flag whose values are names of an enumeration.
#pragma once

#include "esmscale/core/enum_names.h"

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace esmscale::cli {

// Takes the names of E, or only those of `names`, and shows the default that `home` has.
template <Named E>
CLI::Option* add_enum_flag(CLI::App& verb, const std::string& flag, E& home, const std::string& help,
                           const std::vector<std::string>& names = enum_names<E>()) {
  const auto assign = [&home, flag](const std::string& name) { home = enum_from_name<E>(name, flag); };
  return verb.add_option_function<std::string>(flag, assign, help)
      ->check(CLI::IsMember(names))
      ->default_str(std::string(enum_name(home)));
}

// The same for a flag without a default.
template <Named E>
CLI::Option* add_enum_flag(CLI::App& verb, const std::string& flag, std::optional<E>& home,
                           const std::string& help, const std::vector<std::string>& names = enum_names<E>()) {
  const auto assign = [&home, flag](const std::string& name) { home = enum_from_name<E>(name, flag); };
  return verb.add_option_function<std::string>(flag, assign, help)->check(CLI::IsMember(names));
}

}  // namespace esmscale::cli
