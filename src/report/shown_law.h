// The law that the pictures and the runs of a report speak by.
#pragma once

#include "esmscale/laws/laws.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::report {

// LawFile::shown(), with its name and draws.
struct ShownLaw {
  laws::Approach approach{};
  bool is_supported = false;
  std::string name;  // "approach 2", "approach 3 (not supported)"
  laws::LossSurface surface;
  std::vector<laws::LossSurface> draws;  // for a band; none where it is not supported

  double residual_of(
      const laws::Point& point) const;  // measured − predicted, nats; NaN: it knows no loss there
};
std::optional<ShownLaw> shown_law(const laws::Laws& laws);

// nullopt for an approach without an optimum.
std::optional<ShownLaw> shown_law(const laws::LawFile& file, laws::Approach approach);

// "approach 3", with " (not supported)" where it is not.
std::string label_of(const laws::Planning& planning, laws::Approach approach);

}  // namespace esmscale::report
