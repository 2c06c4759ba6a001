// How a fit was made, as the paragraph of a paper, and the references that it names.
#pragma once

#include "esmscale/laws/laws.h"

#include <string>
#include <vector>

namespace esmscale::report {

// Sentences from the basis, the points and the laws that are there: nothing is said of what was not done.
std::vector<std::string> methods_sentences(const laws::Laws& laws);

// The sentences as one paragraph, in plain text.
std::string methods_text(const laws::Laws& laws);

// BibTeX of every reference that the paragraph names, in the order of their keys.
std::string references_of(const laws::Laws& laws);

}  // namespace esmscale::report
