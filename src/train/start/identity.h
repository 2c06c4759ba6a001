// Whether what is asked for is the run that a folder holds or that a branch begins from. Every difference is
// a usage error that names what differs.
#pragma once

#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/options.h"

#include <filesystem>
#include <optional>
#include <string>

namespace esmscale::train {

// "train.seed: the run has 1, asked for is 2; …" or "" when both agree.
std::string identity_differences(const config::RunConfig& stored, const config::RunConfig& asked);

// train.max_tokens may be raised for a constant rate, and for wsd before its decay: `at` is how far the run
// has come. Elsewhere the learning rates so far would have been others.
bool may_raise_tokens(const config::RunConfig& stored, const config::RunConfig& asked,
                      int64_t tokens_of_epochs, int64_t at);

// `where`: the folder or checkpoint that holds `stored`. `raises_tokens`: a higher train.max_tokens is
// accepted.
void require_same_identity(const config::RunConfig& stored, const config::RunConfig& asked,
                           bool raises_tokens, const std::filesystem::path& where);

// The same data set, read in the same order.
void require_same_data(const checkpoint::CheckpointInfo& info, const data::Dataset& train,
                       const std::filesystem::path& where);
// The same for a run that has no checkpoint yet: it starts over, on the data set that it began with.
void require_same_beginning(const run::RunFolder& run, const data::Dataset& train);

// The holdout that the run was scored on so far, where it is still there; "" otherwise.
std::string recorded_holdout(const run::RunFolder& run);

// A run is scored on one holdout: its curve and its result do not mix two. `holdout` may be absent.
void require_same_holdout(const run::RunFolder& run, const std::optional<data::Dataset>& holdout,
                          bool is_finished);

// The command that began a run may be given again; another --init-from or --branch-from asks for another run.
void require_same_origin(const checkpoint::CheckpointInfo& info, const TrainOptions& options,
                         const std::filesystem::path& where);

// Error that names the rank and the keys in which its program, configuration or data differ from rank 0's.
void require_one_run(dist::Ranks& ranks, const config::RunConfig& config, const data::Dataset& train);

}  // namespace esmscale::train
