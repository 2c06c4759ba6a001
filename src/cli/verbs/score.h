// What both ways to score share: one assay, and all of ProteinGym.
#pragma once

#include "cli/model_flags.h"
#include "cli/verb.h"
#include "esmscale/assays/assay.h"
#include "esmscale/assays/ranking.h"
#include "esmscale/downstream/variants.h"

#include <string>
#include <vector>

namespace esmscale::cli {

struct ScoreOptions {
  std::vector<std::string> checkpoints;
  std::string assay, sequence, output, method = "masked-marginals", score_column = "esmscale_score";
  std::string proteingym, reference;  // the folder in place of one assay; "": its own reference table
  assays::AssayOptions columns;
  std::string measured_column;  // "": the default, which may be absent
  assays::BootstrapDraws bootstrap;
  int64_t window = 0;  // 0: what the model was trained on
  bool force = false;
  ModelFlags model;
};

downstream::VariantOptions variant_options(const ScoreOptions& options, const ModelOnDevice& model);

// Names of the columns of scores, one a checkpoint.
std::vector<std::string> new_columns(const ScoreOptions& options);

// score --proteingym
int score_proteingym(const Program& program, const ScoreOptions& options);

}  // namespace esmscale::cli
