// What a run is begun with, before anything is written: its data, and the model that it takes over.
#pragma once

#include "esmscale/assays/assay.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/train/options.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace esmscale::train {

struct RunInputs {
  data::Dataset train;
  std::optional<data::Dataset> holdout;
  std::vector<assays::Assay> assays;
};

// data.train, data.holdout and eval.assays. Error when there is no training set, or the holdout shares
// sequences with what is trained on: their number, and some of them. What deserves a warning is added to
// `warnings`.
RunInputs open_inputs(const config::RunConfig& config, std::vector<std::string>& warnings);

// --init-from: the run takes over the model's alphabet and its token dropout. A usage error when the
// configuration has another shape, or is given (`given_keys`) another token dropout. `from`: a checkpoint,
// run or Hugging Face folder.
void adopt_model(config::RunConfig& config, std::span<const std::string> given_keys,
                 const std::filesystem::path& from, std::vector<std::string>& warnings);

}  // namespace esmscale::train
