// How large the floor of a law (E, L∞) may be: a profile likelihood, where percentiles of draws promise
// nothing.
#pragma once

#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/law_form.h"

#include <vector>

namespace esmscale::laws {

double lowest_loss(const Observations& observations);

// What a likelihood-ratio test at 95% (largest_ratio) leaves of the floor exp(θ[floor]), nats; the other
// constants are fitted again at each, from `optima`. low 0: no least.
Interval profile_of_floor(const LawForm& form, size_t floor, const std::vector<FormFit>& optima,
                          const Observations& observations);

// An estimate whose value lies at the bound (kAtFloorBound · lowest) gets no interval by draws but is_bound.
// Where only drawn lower ends lie there, they become the profile's.
void settle_floor(Estimate& floor, double lowest, const Interval& profile);

}  // namespace esmscale::laws
