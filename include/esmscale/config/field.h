// A configuration field, declared once: its name, home, unit, bounds and help. Reading and writing JSON,
// --set, `esmscale config`, the JSON Schema, validation and the identity of a run all walk over these
// declarations.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace esmscale::config {

struct Field {
  using Home = std::variant<int64_t*, double*, bool*, std::string*, std::array<double, 2>*>;

  std::string path;  // "optimizer.lr"
  Home home;         // where the value lives
  std::string help;
  std::string units{};
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices{};
  bool is_identity = false;  // a resumed run must agree on it

  Field& unit(std::string name) {
    units = std::move(name);
    return *this;
  }
  Field& within(double low, double high) {
    minimum = low;
    maximum = high;
    return *this;
  }
  Field& at_least(double low) {
    minimum = low;
    return *this;
  }
  Field& one_of(std::vector<std::string> names) {
    choices = std::move(names);
    return *this;
  }
  Field& identity() {
    is_identity = true;
    return *this;
  }
};

}  // namespace esmscale::config
