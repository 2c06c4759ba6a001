// Errors of a form on runs that it was not fitted to.
#pragma once

#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/law_form.h"

#include <vector>

namespace esmscale::laws {

// The runs that the points belong to, each once, sorted.
std::vector<size_t> members_of(const Observations& points);

// Squared error in nats of each point, predicted by a fit (from the starts) without the runs of its fold: ten
// folds drawn from the seed, one run a fold where there are at most twenty. NaN where that fit did not
// converge. runs: how many runs the set has.
std::vector<double> held_out_squares(const LawForm& form, const Observations& points, size_t runs,
                                     const std::vector<FormFit>& starts, const BootstrapOptions& options);

double mean_of(const std::vector<double>& values);

// Root of their mean; NaN where one is.
double held_out_error(const std::vector<double>& squares);

}  // namespace esmscale::laws
