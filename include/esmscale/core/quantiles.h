// Quantiles of the distributions that intervals rest on.
#pragma once

namespace esmscale {

inline constexpr double kNormal95 = 1.959964;  // what a normal |z| exceeds with a probability of 5%

// What Student's |t| exceeds with a probability of 5%, to 0.001; degrees below 7 are rounded down. Infinite
// below one degree.
double student_95(double degrees);

}  // namespace esmscale
