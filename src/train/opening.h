// What a run opens before its first step.
#pragma once

#include "esmscale/accounting/device_peak.h"
#include "esmscale/config/config.h"
#include "esmscale/data/dataset.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/run/run_folder.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace esmscale {

// data.train; a usage error when there is none.
std::filesystem::path training_folder(const RunConfig& config);
// data.holdout, when there is one. Error when it shares sequences with what is trained on: how many, and some
// of them.
std::optional<Dataset> open_holdout(const RunConfig& config, const Dataset& train);
// Rank 0 locks the run folder for all; the others get nothing, and wait until it has.
std::unique_ptr<FileLock> lock_for(const RunFolder& folder, Ranks& ranks);
// Of the devices of all ranks together.
DevicePeak peak_of_all(const at::Device& device, const std::string& precision, int ranks);

}  // namespace esmscale
