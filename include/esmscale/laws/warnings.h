// Which warnings of a fit bear on the answer.
#pragma once

#include "esmscale/laws/law_file.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

// A warning about an approach or a law by name that is not the one planned from. Without one, those about
// Kaplan's laws that nobody plans from.
bool is_about_another(const std::string& warning, std::optional<Approach> taken);

// In the order in which they bear on the answer: that the approaches disagree or none is supported; of the
// approach that is planned from; of the data; of another approach or law. Each part keeps its order.
void order_warnings(std::vector<std::string>& warnings, std::optional<Approach> taken);

// The ordered warnings in two parts: those to read, and those about another law.
struct FoldedWarnings {
  std::vector<std::string> first, others;
};
FoldedWarnings fold_warnings(const std::vector<std::string>& warnings, std::optional<Approach> taken);

}  // namespace esmscale::laws
