// A study laid out: IsoFLOP profiles of several sizes, all of one grid, at several budgets, replicates at
// each middle, and a sweep of the learning rate at the two smallest sizes, to be run first.
#pragma once

#include "esmscale/config/choices.h"
#include "esmscale/config/config.h"
#include "esmscale/core/files/output_set.h"
#include "esmscale/core/json.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/study/plan/recipe.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::study {

inline constexpr int kFewestModels = 4;  // of a budget: a parabola has three constants

struct StudyRequest {
  std::string name = "study";
  std::vector<double> budgets;          // C, by basis.flop_count
  int models = 8;                       // sizes per budget
  double spread = 4;                    // sizes reach from N_opt/spread to N_opt·spread
  int replicates = 1;                   // further seeds at each budget's middle size
  double centre = 0;                    // N_opt expected at the geometric mean of the budgets; 0: from a law
  double exponent = 0.5;                // N_opt ∝ C^exponent about that centre
  const laws::LawFile* laws = nullptr;  // predicts N_opt; else Cheng et al. 2024
  bool sweep = true;
  double rate_exponent = 0;  // learning rates: the planned ones times (C / smallest C)^rate_exponent
  // Runs of one size share a trunk of constant rate, from which each budget's run branches and decays (wsd).
  // For that all budgets have one batch.
  bool trunks = false;
  laws::Basis basis;  // which counts; mean_squared_length for hoffmann
  ConfigOptions config;
};

struct StudyRun {
  std::string name;
  config::RunStage stage = config::RunStage::main;
  std::string parent{};  // the run whose last checkpoint it branches from; "": none
  config::RunConfig config;
  double budget = 0, parameters = 0;
  double tokens = 0, tokens_before = 0;  // at its end; those of its parent
  double flops = 0;                      // of its own tokens
};

struct StudyLayout {
  std::string name, centre_from;
  std::vector<StudyRun> runs;  // in the order to run them
  std::vector<std::string> warnings;
  double flops() const;
};

// N_opt expected at a budget: by the centre, the laws, or Cheng et al. 2024.
double expected_size(const StudyRequest& request, double budget);

// Usage error for no budgets, one that is not above zero, fewer than four models, a spread of 1 or less, or
// trunks with a rate_exponent.
// Error for sizes that no shape comes near.
StudyLayout lay_out_study(const StudyRequest& request);

// DIR/study.json, DIR/configs/NAME.json one a run, and add_array's files. Error unless the folder is
// empty or absent.
void write_study(const std::filesystem::path& folder, const StudyLayout& layout);

// A SLURM array over DIR/configs/NAME.json, one task a run: the shipped study.sbatch as DIR/array.sbatch with
// its options filled in, train.sbatch next to it, and the files of add_tasks.
void add_array(OutputSet& files, const std::string& name, const std::vector<std::string>& runs, int gpus,
               double hours, const std::vector<std::string>& parents = {});

// DIR/configs.txt, whose line N + 1 is task N of array.sbatch, and an empty DIR/logs. parents: the run that
// each branches from, "" for none; may be empty when none does.
void add_tasks(OutputSet& files, const std::vector<std::string>& runs,
               const std::vector<std::string>& parents);

// Options of sbatch for a run on `gpus` GPUs, at most 8 a node, by name without the dashes: nodes,
// ntasks-per-node, gpus-per-node, and time for the hours that it is expected to need (at most 24 are asked
// for, as a longer run requeues itself). Of gpus and hours, 0 leaves its options out.
std::map<std::string, std::string> slurm_options(int gpus, double hours);

Json to_json(const StudyLayout& layout);

}  // namespace esmscale::study
