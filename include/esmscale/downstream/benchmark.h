// All assays of ProteinGym by one or several models, resumable.
#pragma once

#include "esmscale/assays/benchmark.h"
#include "esmscale/downstream/variants.h"

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::downstream {

struct BenchmarkModel {
  model::Engine& engine;
  const config::ModelConfig& config;
  VariantOptions options;  // without progress
};

struct BenchmarkOptions {
  // Results so far, in proteingym.json, and each assay's table with its columns of scores, in scores/ID.csv;
  // empty: nothing is kept, so nothing can be resumed.
  std::filesystem::path output{};
  Json request{};      // what decides results: models, method, …; another one is not resumed
  bool force = false;  // replace what another request has left in `output`
  std::vector<std::string> columns{};  // names of scores, one a model
  assays::BootstrapDraws bootstrap{};
  // Rows through models, of those that are left to do; the assay that is being scored.
  std::function<void(double done, double total, std::string_view assay)> progress{};
};

// results[m][i]: of model m on entry i. Every assay is read and checked before anything is computed. An assay
// that `output` has is not scored again unless its data changed. Error: what read_assay() refuses, a table
// without measurements, scores that are not finite, an output of another request.
std::vector<std::vector<assays::AssayResult>> score_benchmark(std::span<const assays::BenchmarkEntry> entries,
                                                              std::span<const BenchmarkModel> models,
                                                              const BenchmarkOptions& options);

}  // namespace esmscale::downstream
