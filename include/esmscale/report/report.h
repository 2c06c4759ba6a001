// DIR/report.html: one self-contained page of a fit, and its plots as files of their own.
#pragma once

#include "esmscale/laws/laws.h"

#include <filesystem>
#include <string>

namespace esmscale::report {

std::string report_page(const laws::Laws& laws);

// Writes DIR/report.html and one DIR/NAME.svg a plot. The folder is made when it is not there; plots
// of an earlier report that this one does not have are removed.
void write_report(const std::filesystem::path& folder, const laws::Laws& laws);

}  // namespace esmscale::report
