// What an action says when it throws an Error: "no error" when it does not.
#pragma once

#include "esmscale/core/error.h"

#include <string>

namespace esmscale {

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace esmscale
