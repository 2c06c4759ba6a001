// Published protein language models, placed against a law: were they compute-optimal?
#pragma once

#include "esmscale/laws/laws_json.h"

#include <filesystem>
#include <optional>
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
  std::string law;  // "approach 2", …, a published law, or why there is none
  double parameters = 0, tokens = 0, flops = 0;
  double best_parameters = 0;                // N_opt at its C
  double ratio = 0;                          // N / N_opt
  std::optional<laws::Interval> interval{};  // 95%, of the ratio
  double nats_lost = 0;     // above the optimum; NaN where the objective is another or the law knows no loss
  double compute_lost = 0;  // share more FLOPs than the optimum needs for that loss, likewise
  bool is_beyond_law = false;  // C lies outside the law's points
};

struct Assessment {
  // What a nat is worth: official ESM-2 on ProteinGym first, then the assays of the law's own runs.
  struct Downstream {
    std::string name, verdict;
  };
  std::string law;       // the law file, or the published law's title
  std::string sentence;  // were the ESM-2 models optimal, by the approach that the points support
  std::vector<ModelPlacement> placements;  // by model; the approach of the sentence first
  std::string compute_lost_from;           // how nats became compute; "": none did
  std::vector<std::string> left_out;       // approaches that the points do not support, with the reason
  std::vector<Downstream> downstream;
};

// Every known model against each approach of the law that its points support, and Cheng et al. 2024's own
// constants. A model whose D is not known has one row, all NaN except N.
Assessment assess(const laws::LawFile& laws);
// What the assays of a law's own runs say, which `fit` writes into the law's file.
void add_trends(Assessment& assessment, const std::filesystem::path& law_file);
Json to_json(const Assessment& assessment);

}  // namespace esmscale::study
