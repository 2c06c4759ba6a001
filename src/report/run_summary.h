// One row a run, as a table of the page, CSV and Markdown.
#pragma once

#include "esmscale/study/runs/run_view.h"

#include <string>
#include <vector>

namespace esmscale::report {

struct Summary {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;

  std::string html() const;
  std::string csv() const;  // RFC 4180
  std::string markdown() const;
};

// Numbers for people in the page and Markdown; in full precision with `exact`, for CSV.
Summary summary_of(const std::vector<study::RunView>& runs, bool exact);

// A row a run, a column a key of the configuration, data or build that is not the same in all; no rows when
// nothing differs.
Summary differences_of(const std::vector<study::RunView>& runs);

}  // namespace esmscale::report
