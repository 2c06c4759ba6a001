// --device: which device a verb computes on.
#pragma once

#include "esmscale/core/enum_names.h"

namespace esmscale::train {

enum class DeviceChoice { automatic, cpu, cuda };  // automatic: a GPU where there is one

}  // namespace esmscale::train

namespace esmscale {

template <>
struct EnumNames<train::DeviceChoice> {
  static constexpr std::pair<train::DeviceChoice, std::string_view> table[] = {
      {train::DeviceChoice::automatic, "auto"},
      {train::DeviceChoice::cpu, "cpu"},
      {train::DeviceChoice::cuda, "cuda"}};
};

}  // namespace esmscale
