// Zero-shot variant effects (Meier et al. 2021, "Language models enable zero-shot prediction of the effects
// of mutations on protein function"): a model's log-likelihood ratio of a substitution, in nats.
#pragma once

#include "esmscale/assays/assay.h"
#include "esmscale/core/enum_names.h"
#include "esmscale/model/engine.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace esmscale::downstream {

enum class ScoreMethod {
  masked_marginals,  // Σ over substitutions of log p(to) − log p(from), that position of the target masked
  wildtype_marginals,  // the same from the target as it is
  pseudo_likelihood,   // Σ over residues of log p(residue), each masked in turn: variant minus target
};

struct VariantOptions {
  ScoreMethod method = ScoreMethod::masked_marginals;
  int64_t longest = 1024;     // rows of a window, START and END included
  int64_t batch_rows = 4096;  // rows of one forward pass of the engine; a longer window has a pass of its own
  std::function<void(double done)> progress{};  // of cost().passes
};

// Error for a variant of another length than the target, which only pseudo_likelihood scores.
void require_scorable(const assays::Assay& assay, ScoreMethod method);

// What the scores of an assay take: a pass is one protein, or one window of it, through the model. Masked
// marginals take one for each mutated position; wild-type marginals one for the target (some for a long one);
// pseudo-likelihoods one for each residue of the target and of every variant.
struct ScoreCost {
  int64_t passes = 0, rows = 0;
};
ScoreCost cost(const assays::Assay& assay, const VariantOptions& options);

// Scores by variant; 0 for the target itself. A protein of more than `longest` rows is seen in windows of
// that many of its rows: START is only in the first and END only in the last. A masked row is in the middle
// of its window as far as the ends allow (ProteinGym's rule). Wild-type marginals use windows that overlap by
// half, and each position's probabilities are those of the window whose middle is nearest. Error as by
// require_scorable().
std::vector<double> score_variants(model::Engine& engine, const config::ModelConfig& model,
                                   const assays::Assay& assay, const VariantOptions& options);

}  // namespace esmscale::downstream

namespace esmscale {

template <>
struct EnumNames<downstream::ScoreMethod> {
  using enum downstream::ScoreMethod;
  static constexpr std::pair<downstream::ScoreMethod, std::string_view> table[] = {
      {masked_marginals, "masked-marginals"},
      {wildtype_marginals, "wildtype-marginals"},
      {pseudo_likelihood, "pseudo-likelihood"}};
};

}  // namespace esmscale
