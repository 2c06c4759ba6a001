// What the points leave of one constant of a law by its profile likelihood: a likelihood-ratio test at 95%
// (largest_ratio) with the other constants fitted again at each value. It counts no draws, so it holds where
// their percentiles promise nothing: at a bound, and in a bent valley.
#pragma once

#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/law_form.h"

#include <vector>

namespace esmscale::laws {

double lowest_loss(const Observations& observations);

// The interval of the floor exp(θ[floor]) (E, L∞), nats; refits begin at `optima`. low 0: no least.
Interval profile_of_floor(const LawForm& form, size_t floor, const std::vector<FormFit>& optima,
                          const Observations& observations);

// The interval of β/(α + β) of parametric_form: a of N_opt ∝ C^a where C = 6ND. 0 or 1: no bound there.
Interval profile_of_balance(const std::vector<FormFit>& optima, const Observations& observations);

// An estimate whose value lies at the bound (kAtFloorBound · lowest) gets no interval by draws but is_bound.
// Where only drawn lower ends lie there, they become the profile's.
void settle_floor(Estimate& floor, double lowest, const Interval& profile);

}  // namespace esmscale::laws
