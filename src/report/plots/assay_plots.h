// What runs reached downstream: Spearman's coefficients of their assays against loss, N, D and C.
#pragma once

#include "esmscale/laws/points/points.h"
#include "esmscale/study/runs/assay_trends.h"
#include "report/plots/plot.h"

#include <vector>

namespace esmscale::report {

inline constexpr size_t kDrawnAssays = 6;  // the first ones; tables name all

// Four a trend, called spearman_I_loss, _parameters, _tokens and _flops. Against the loss with the line of
// the trend, the way of each run, and official ESM-2 beside, whose losses and assays are others.
std::vector<Plot> assay_plots(const std::vector<study::AssayTrend>& trends, const laws::Basis& basis);

// The section's body without its pictures: what a nat is worth by each assay, the runs, published models.
std::string assay_tables(const std::vector<study::AssayTrend>& trends, const laws::Basis& basis);

}  // namespace esmscale::report
