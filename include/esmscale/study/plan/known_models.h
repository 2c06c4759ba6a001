// Published protein language models, placed against a law: were they compute-optimal?
#pragma once

#include "esmscale/laws/laws_json.h"

#include <string>
#include <vector>

namespace esmscale::study {

struct KnownModel {
  std::string name;
  double parameters = 0;          // as its authors count
  int64_t layers = 0, width = 0;  // of the ESM-2 family: then N follows from the law's count
  double tokens = 0;              // D seen; 0: not published where it could be checked
  bool is_mlm = false;            // its objective is the law's: a loss can be predicted
  std::string tokens_source;      // how D follows from what is published
};
const std::vector<KnownModel>& known_models();

// One model against one law.
struct ModelPlacement {
  const KnownModel* model = nullptr;
  std::string law;  // "approach 3", …, or a published law
  double parameters = 0, tokens = 0, flops = 0;
  double best_parameters = 0;  // N_opt at its C
  double oversized = 0;        // N / N_opt
  double nats_lost = 0;        // NaN where the objective is another or the law predicts no loss
  bool is_beyond_law = false;  // C lies outside the law's points
};

// Every known model against each law of the file that has an optimum, and Cheng et al. 2024's; laws may be
// null. A model whose D is not known has one row, all NaN but N.
std::vector<ModelPlacement> assess(const laws::LawFile* laws);
Json to_json(const std::vector<ModelPlacement>& placements);

}  // namespace esmscale::study
