// What repeated data is worth (Muennighoff et al. 2023): D tokens of which U are different count as
//   D' = U·[1 + R*·(1 − e^(−R/R*))], R = D/U − 1, and N as N' likewise, with U_N = min(N, the N that U tokens
//   balance) and R*_N; the loss is E + A/N'^α + B/D'^β. Published for text: R* = 15.39, R*_N = 5.31.
#pragma once

#include "esmscale/laws/fits/approach3.h"
#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/points/points.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

inline constexpr double kPublishedTokenRepeats = 15.39, kPublishedParameterRepeats = 5.31;

struct RepeatLaw {
  double tokens = kPublishedTokenRepeats;          // R*
  double parameters = kPublishedParameterRepeats;  // R*_N

  double effective_tokens(double tokens_seen, double unique_tokens) const;
  double effective_parameters(const ParametricLaw& law, double parameters_of_model,
                              double unique_tokens) const;
  double loss(const ParametricLaw& law, double parameters_of_model, double tokens_seen,
              double unique_tokens) const;
};

struct Repeats {
  RepeatLaw law;
  std::vector<Estimate> estimates;  // R_star_D, R_star_N
  // One for each of approach 3's draws, fitted with its constants; the law itself where that has no optimum.
  std::vector<RepeatLaw> draws;
  size_t points = 0;
  double most_epochs = 0;
  double error_once = 0,
         error_fitted = 0;  // root mean square of ln L, counting D as if it were new, and by the law
  std::vector<std::string> warnings;
};

// Fitted to the points of more than one epoch with approach 3's constants (and in each draw that draw's)
// held, as the paper did. nullopt and a reason with fewer than three such points, without approach 3, or
// where approach 3 counts the tokens of such points as new (Basis::most_epochs).
std::optional<Repeats> fit_repeats(const PointSet& set, const std::optional<Approach3>& approach3,
                                   const BootstrapOptions& options, std::string& why);

// More than `epochs` epochs, with a margin for a run that ends inside a batch.
bool is_repeated(const Point& point, double epochs = 1);
// "one epoch", "4 epochs".
std::string epochs_text(double epochs);

}  // namespace esmscale::laws
