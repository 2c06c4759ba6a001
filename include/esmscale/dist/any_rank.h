// A yes or no of all ranks.
#pragma once

#include "esmscale/dist/ranks.h"

#include <algorithm>

namespace esmscale::dist {

// True on every rank if `mine` is true on one of them. All ranks call it: Ranks::exchange.
inline bool is_true_of_any(Ranks& ranks, std::string_view topic, bool mine) {
  const std::vector<std::string> said = ranks.exchange(topic, mine ? "yes" : "");
  return std::any_of(said.begin(), said.end(), [](const std::string& word) { return !word.empty(); });
}

}  // namespace esmscale::dist
