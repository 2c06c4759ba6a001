// DIR/report.html: one self-contained page of a fit, and its plots as files of their own.
#pragma once

#include "esmscale/core/files/output_set.h"
#include "esmscale/laws/laws.h"
#include "esmscale/study/runs/assay_trends.h"

#include <string>
#include <vector>

namespace esmscale::report {

// `trends`: of the assays that the runs scored; without any there is no section about them.
std::string report_page(const laws::Laws& laws, const std::vector<study::AssayTrend>& trends = {});

// DIR/report.html and one DIR/NAME.svg a plot; plots of an earlier report that this one does not have go.
void add_report(OutputSet& files, const laws::Laws& laws, const std::vector<study::AssayTrend>& trends = {});

}  // namespace esmscale::report
