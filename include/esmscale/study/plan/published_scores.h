// What published models reach downstream, and their losses.
#pragma once

#include "esmscale/laws/laws_json.h"

#include <string>
#include <vector>

namespace esmscale::study {

// Official ESM-2 weights.
struct PublishedScore {
  std::string model;
  double loss = 0;      // nats, MASK only, on UniRef50; NaN: not published
  double spearman = 0;  // zero-shot, mean over ProteinGym's substitution assays
};
const std::vector<PublishedScore>& published_scores();  // by size
const std::string& published_scores_source();           // of both figures, with the errors

// What published models of this loss reach: a sentence that names them. `is_comparable`: the law's loss is of
// their masks; the holdouts are two in any case. Else the sentence says why not, and `models` is empty.
struct PublishedReach {
  bool is_comparable = false;
  std::vector<PublishedScore> models;  // the nearest of a higher loss and of a lower one, where there are any
  std::string sentence;
};
PublishedReach reach_of_published(double loss, const laws::LawFile& laws);
Json to_json(const PublishedReach& reach);

// The model, its loss and its coefficient: rows of tables.
Json to_json(const PublishedScore& score);

}  // namespace esmscale::study
