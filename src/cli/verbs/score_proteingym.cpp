// score --proteingym: all assays of a folder, and the averages that ProteinGym reports.
#include "cli/checks.h"
#include "cli/verbs/score.h"
#include "esmscale/assays/benchmark.h"
#include "esmscale/core/error.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/table.h"
#include "esmscale/downstream/benchmark.h"

#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

using Entries = std::vector<assays::BenchmarkEntry>;
using Results = std::vector<assays::AssayResult>;  // of one model, by entry

// What the folder's own columns and wild types decide.
void require_no_flags_of_one_assay(const ScoreOptions& options) {
  const assays::AssayOptions usual;
  const assays::AssayOptions& asked = options.columns;
  const std::pair<const char*, bool> flags[] = {
      {"--sequence", !options.sequence.empty()},
      {"--measured-column", !options.measured_column.empty()},
      {"--mutant-column", asked.mutant_column != usual.mutant_column},
      {"--sequence-column", asked.sequence_column != usual.sequence_column},
      {"--bin-column", asked.bin_column != usual.bin_column},
      {"--offset", asked.offset != 0}};
  for (const auto& [flag, is_given] : flags)
    if (is_given)
      throw usage_error({.where = flag,
                         .expected = "--assay FILE.csv with it",
                         .found = "--proteingym, whose columns and wild types are its own"});
}

Json request_of(const ScoreOptions& options, const std::vector<ModelOnDevice>& models) {
  Json weights = Json::array(), windows = Json::array();
  for (const ModelOnDevice& model : models) {
    weights.push_back(checksum_of(model));
    windows.push_back(variant_options(options, model).longest);
  }
  return {{"models", options.checkpoints},
          {"weights", weights},
          {"method", options.method},
          {"windows", windows},
          {"precision", options.model.precision},
          {"columns", new_columns(options)},
          {"bootstrap", options.bootstrap.draws},
          {"seed", options.bootstrap.seed}};
}

std::vector<Results> scored(const ScoreOptions& options, const Entries& entries,
                            const std::vector<ModelOnDevice>& models) {
  std::vector<downstream::BenchmarkModel> engines;
  for (const ModelOnDevice& model : models)
    engines.push_back(
        {.engine = *model.engine, .config = model.config(), .options = variant_options(options, model)});
  std::optional<Progress> progress;
  const auto show = [&](double done, double total, std::string_view assay) {
    if (!progress) progress.emplace("ProteinGym", total, "rows");
    progress->update(done, assay);
  };
  std::vector<Results> results = downstream::score_benchmark(entries, engines,
                                                             {.output = options.output,
                                                              .request = request_of(options, models),
                                                              .force = options.force,
                                                              .columns = new_columns(options),
                                                              .bootstrap = options.bootstrap,
                                                              .progress = show});
  if (progress) progress->finish();
  return results;
}

// Averages are linear, so those of the differences are the differences of the averages, paired by protein.
assays::BenchmarkAverages difference(const ScoreOptions& options, const Entries& entries, const Results& a,
                                     const Results& b) {
  Results differences = a;
  for (size_t i = 0; i < a.size(); ++i) {
    differences[i].spearman.value -= b[i].spearman.value;
    differences[i].ndcg -= b[i].ndcg;
    differences[i].auc -= b[i].auc;
  }
  return assays::averages_of(entries, differences, options.bootstrap);
}

Json rows_of(const Entries& entries, const Results& results) {
  Json rows = Json::array();
  for (size_t i = 0; i < entries.size(); ++i) {
    Json row = assays::to_json(results[i]);
    row["protein"] = entries[i].protein;
    row["selection_type"] = entries[i].selection_type;
    row["msa_depth"] = entries[i].depth;
    row["taxon"] = entries[i].taxon;
    rows.push_back(std::move(row));
  }
  return rows;
}

Json document(const ScoreOptions& options, const Entries& entries, const std::vector<ModelOnDevice>& models,
              const std::vector<Results>& results) {
  Json checkpoints = Json::array(), differences = Json::array();
  for (size_t m = 0; m < models.size(); ++m)
    checkpoints.push_back({{"assays", rows_of(entries, results[m])},
                           {"averages", to_json(assays::averages_of(entries, results[m], options.bootstrap))},
                           {"checkpoint", models[m].path.string()},
                           {"precision", options.model.precision},
                           {"window", variant_options(options, models[m]).longest}});
  if (models.size() == 1) return checkpoints[0];
  for (size_t a = 0; a < models.size(); ++a)
    for (size_t b = a + 1; b < models.size(); ++b)
      differences.push_back({{"a", models[a].path.string()},
                             {"b", models[b].path.string()},
                             {"averages", to_json(difference(options, entries, results[a], results[b]))}});
  return {{"checkpoints", std::move(checkpoints)}, {"differences", std::move(differences)}};
}

std::string or_unknown(double value) {
  return std::isnan(value) ? "unknown" : fixed(value, 3);
}

void add_groups(Table& table, const std::string& kind,
                const std::map<std::string, assays::GroupMean>& groups) {
  for (const auto& [name, mean] : groups)
    table.add({text(kind, name), std::to_string(mean.proteins), to_text(mean.spearman), or_unknown(mean.ndcg),
               or_unknown(mean.auc)});
}

std::string table_of(const assays::BenchmarkAverages& averages) {
  Table table({"average over", "proteins", "Spearman", "NDCG", "AUC"});
  add_groups(table, "", {{"selection types", averages.all}});
  add_groups(table, "  ", averages.by_selection_type);
  add_groups(table, "MSA depth ", averages.by_depth);
  add_groups(table, "taxon ", averages.by_taxon);
  return table.str();
}

void print_tables(std::ostream& out, const ScoreOptions& options, const Entries& entries,
                  const std::vector<ModelOnDevice>& models, const std::vector<Results>& results) {
  for (size_t m = 0; m < models.size(); ++m)
    out << models[m].path.string() << ", " << options.method << ", " << entries.size() << " assays\n"
        << table_of(assays::averages_of(entries, results[m], options.bootstrap)) << "\n";
  for (size_t a = 0; a < models.size(); ++a)
    for (size_t b = a + 1; b < models.size(); ++b)
      out << models[a].path.string() << " − " << models[b].path.string() << ", paired by protein\n"
          << table_of(difference(options, entries, results[a], results[b])) << "\n";
}

}  // namespace

int score_proteingym(const Program& program, const ScoreOptions& options) {
  require_no_flags_of_one_assay(options);
  if (!options.output.empty()) require_no_dataset(options.output);
  const Entries entries = assays::read_benchmark(options.proteingym, options.reference);
  std::vector<ModelOnDevice> models;
  for (const std::string& checkpoint : options.checkpoints)
    models.push_back(open_model(program, checkpoint, options.model));
  const std::vector<Results> results = scored(options, entries, models);
  if (program.json)
    program.print(document(options, entries, models, results));
  else
    print_tables(program.out, options, entries, models, results);
  return 0;
}

}  // namespace esmscale::cli
