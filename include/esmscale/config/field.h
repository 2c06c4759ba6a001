// A configuration field, declared once: its name, home, unit, bounds and help. Reading and writing JSON,
// --set, `esmscale config`, the JSON Schema, validation and the identity of a run all walk over these
// declarations.
#pragma once

#include "esmscale/core/enum_names.h"
#include "esmscale/core/json.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace esmscale::config {

// A value of any enumeration that has a table of names.
class EnumRef {
 public:
  template <Named E>
  EnumRef(E* home)
      : home_(home),
        name_([](const void* value) { return enum_name(*static_cast<const E*>(value)); }),
        assign_([](void* value, std::string_view name) { *static_cast<E*>(value) = *find_enum<E>(name); }),
        names_(enum_names<E>()) {}

  std::string name() const { return std::string(name_(home_)); }
  void assign(std::string_view name) const { assign_(home_, name); }  // one of names()
  const std::vector<std::string>& names() const { return names_; }
  const void* home() const { return home_; }

 private:
  void* home_;
  std::string_view (*name_)(const void*);
  void (*assign_)(void*, std::string_view);
  std::vector<std::string> names_;
};

struct Field {
  using Home = std::variant<int64_t*, double*, bool*, std::string*, std::array<double, 2>*, EnumRef,
                            std::vector<std::string>*>;

  std::string path;  // "optimizer.lr"
  Home home;         // where the value lives
  std::string help;
  std::string units{};
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices{};  // of a text; those of an enumeration are its names
  bool is_identity = false;            // a resumed run must agree on it

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

// The value that the field has now.
Json value_of(const Field& field);

}  // namespace esmscale::config
