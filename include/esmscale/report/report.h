// DIR/report.html: one self-contained page of a fit, and its plots as files of their own.
#pragma once

#include "esmscale/core/output_set.h"
#include "esmscale/laws/laws.h"

#include <string>

namespace esmscale::report {

std::string report_page(const laws::Laws& laws);

// DIR/report.html and one DIR/NAME.svg a plot; plots of an earlier report that this one does not have go.
void add_report(OutputSet& files, const laws::Laws& laws);

}  // namespace esmscale::report
