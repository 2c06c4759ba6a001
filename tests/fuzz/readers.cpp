// The readers of the rooms without LibTorch.
#include "esmscale/assays/assay.h"
#include "esmscale/assays/benchmark.h"
#include "esmscale/config/config.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/laws/difference.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/laws/points/points.h"
#include "esmscale/run/lease.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/plan/known_models.h"
#include "esmscale/study/state.h"
#include "fuzz/reader.h"

#include <nlohmann/json.hpp>

namespace esmscale::fuzz {
namespace {

namespace fs = std::filesystem;

void read_safetensors(const fs::path& folder) {
  const SafetensorsFile tensors(folder / "tensors.safetensors");
  for (const TensorEntry& entry : tensors.entries()) tensors.bytes(entry);
}

void read_study(const fs::path& folder) {
  const study::Study study = study::read_study(folder);
  study::status_of(study, study::StudyRecord{});
}

// What `fit --compare` and `assess` make of a law.
void use_laws(const fs::path& folder) {
  const laws::LawFile laws = laws::read_laws(folder / "laws.json");
  laws::to_json(laws::difference_of(laws, laws, /*flops=*/0, /*allow_mixed=*/false));
  study::Assessment assessment = study::assess(laws);
  study::add_trends(assessment, folder / "laws.json");
  study::to_json(assessment);
}

void read_assay(const fs::path& folder) {
  const fs::path file = folder / "scan.csv";
  const assays::Assay assay = assays::read_assay(file, assays::find_target(file), {});
  const std::vector<std::string> columns{"score"};
  const std::vector<std::vector<double>> scores(1, std::vector<double>(assay.variants.size()));
  assays::with_columns(assay.table, columns, scores);
}

void read_benchmark(const fs::path& folder) {
  for (const assays::BenchmarkEntry& entry : assays::read_benchmark(folder))
    assays::read_assay(entry.file, entry.target, {.needs_measured = true});
}

}  // namespace

std::vector<Reader> readers() {
  std::vector<Reader> all = dataset_readers();
  const std::vector<Reader> others{
      {"config", "config", "config.json", [](const fs::path& f) { config::load_config(f / "config.json"); }},
      {"safetensors", "safetensors", "tensors.safetensors", read_safetensors},
      {"points", "points", "points.csv", [](const fs::path& f) { laws::read_points(f / "points.csv", {}); }},
      {"laws", "laws", "laws.json", [](const fs::path& f) { laws::read_laws(f / "laws.json"); }},
      {"used-laws", "laws", "laws.json", use_laws},
      {"study", "study", "study.json", read_study},
      {"state", "study", "state.json", [](const fs::path& f) { study::read_record(study::read_study(f)); },
       sealed_json},
      {"metrics", "run", "metrics.jsonl", [](const fs::path& f) { run::read_metrics(f / "metrics.jsonl"); }},
      {"environment", "run", "environment.json", [](const fs::path& f) { run::RunFolder(f).last_start(); }},
      {"lease", "lease", "lease.json", [](const fs::path& f) { run::is_in_use(f); }},
      {"assay", "assay", "scan.csv", read_assay},
      {"assay-target", "assay", "scan.fasta", read_assay},
      {"proteingym", "proteingym", "DMS_substitutions.csv", read_benchmark},
  };
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

}  // namespace esmscale::fuzz
