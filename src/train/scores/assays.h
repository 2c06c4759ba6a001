// The assays that a run scores at each evaluation (eval.assays).
#pragma once

#include "esmscale/assays/result.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/model/engine.h"

#include <span>
#include <string>
#include <vector>

namespace esmscale::train {

// All of them, read whole. Columns have ProteinGym's names; the wild type is the FASTA file of the table's
// name next to it, or what the table's first sequence has with its mutant taken back. Error: what
// read_assay() refuses, no measurements, insertions or deletions, two tables of one name. `longest`: rows of
// a window; a longer protein is noted in `warnings`.
std::vector<assays::Assay> read_assays(const std::vector<std::string>& tables, int64_t longest,
                                       std::vector<std::string>& warnings);

// Results by wild-type marginals, in the order of the assays: one pass of the model a protein, or a window of
// it. All ranks call it: each assay is one rank's work, so results do not depend on the number of ranks. A
// model whose scores are not finite has results of NaN.
std::vector<assays::AssayResult> score_assays(std::span<const assays::Assay> assays, model::Engine& engine,
                                              const config::ModelConfig& model, int64_t longest,
                                              dist::Ranks& ranks);

}  // namespace esmscale::train
