#include "train/scores/assays.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/downstream/variants.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

constexpr auto kMethod = downstream::ScoreMethod::wildtype_marginals;
// The error of an error is its 1/√(2 · 200) = 5%.
constexpr assays::BootstrapDraws kBootstrap{.draws = 200};

assays::Assay read_assay(const std::string& table) {
  try {
    assays::Assay assay = assays::read_assay(table, assays::find_target(table), {.needs_measured = true});
    downstream::require_scorable(assay, kMethod);
    assay.table = CsvTable("mutant", assay.table.where());  // what else it holds is of no use to a run
    return assay;
  } catch (const Error& problem) {  // the advice of `score` names flags that a run does not have
    throw usage_error({.where = "eval.assays: " + problem.report().where,
                       .expected = problem.report().expected,
                       .found = problem.report().found,
                       .advice =
                           "a run reads ProteinGym's columns, positions from 1, and the wild type in the "
                           "FASTA file of the table's name (docs/downstream.md)"});
  }
}

assays::AssayResult score(const assays::Assay& assay, model::Engine& engine, const config::ModelConfig& model,
                          int64_t longest) {
  const std::vector<double> scores =
      downstream::score_variants(engine, model, assay, {.method = kMethod, .longest = longest});
  const std::string method(enum_name(kMethod));
  if (std::all_of(scores.begin(), scores.end(), [](double score) { return std::isfinite(score); }))
    return assays::assess(assay, method, std::vector<std::vector<double>>{scores}, kBootstrap)
        .results.front();
  return {.name = assay.name,
          .method = method,
          .mutants = static_cast<int64_t>(assay.variants.size()),
          .hash = assay.hash};
}

}  // namespace

std::vector<assays::Assay> read_assays(const std::vector<std::string>& tables, int64_t longest,
                                       std::vector<std::string>& warnings) {
  std::set<std::string> names;
  for (const std::string& table : tables)
    if (const std::string name = std::filesystem::path(table).stem(); !names.insert(name).second)
      throw usage_error({.where = "eval.assays",
                         .expected = "a name of its own for each table",
                         .found = text("two tables called ", name),
                         .advice = "rename one of them, with its FASTA file"});
  std::vector<assays::Assay> all;
  for (const std::string& table : tables) {
    all.push_back(read_assay(table));
    if (const auto rows = static_cast<int64_t>(all.back().target.size()) + 2; rows > longest)
      warnings.push_back(text("the protein of the assay ", all.back().name, " has ", rows,
                              " rows; it is scored in windows of data.max_seq_len = ", longest));
  }
  return all;
}

std::vector<assays::AssayResult> score_assays(std::span<const assays::Assay> assays, model::Engine& engine,
                                              const config::ModelConfig& model, int64_t longest,
                                              dist::Ranks& ranks) {
  if (assays.empty()) return {};
  const auto size = static_cast<size_t>(ranks.size());
  Json mine = Json::object();
  for (auto i = static_cast<size_t>(ranks.rank()); i < assays.size(); i += size)
    assays::add_to_metrics(mine, score(assays[i], engine, model, longest));
  std::vector<std::vector<assays::AssayResult>> by_rank;
  for (const std::string& part : ranks.exchange("scores of the assays", to_text(mine)))
    by_rank.push_back(assays::results_of_metrics(parse_json(part, "scores of another rank")));
  std::vector<assays::AssayResult> results;
  for (size_t i = 0; i < assays.size(); ++i) results.push_back(by_rank[i % size][i / size]);
  return results;
}

}  // namespace esmscale::train
