#include "cli/verbs/score.h"

#include "cli/checks.h"
#include "esmscale/assays/result.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/table.h"
#include "esmscale/downstream/variants.h"

#include <chrono>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

using Options = ScoreOptions;

// One model's scores of an assay, and what they took.
struct Prediction {
  std::string checkpoint;
  std::vector<double> scores;
  int64_t window = 0, passes = 0, rows = 0;
  double seconds = 0;
};

void require_scores(const Prediction& prediction) {
  for (const double score : prediction.scores)
    if (!std::isfinite(score))
      throw Error({.where = prediction.checkpoint,
                   .expected = "a model whose log-probabilities are numbers",
                   .found = "a score of NaN",
                   .advice = "use an earlier checkpoint"});
}

Prediction predict(const Program& program, const Options& options, const assays::Assay& assay,
                   const std::string& checkpoint) {
  const ModelOnDevice model = open_model(program, checkpoint, options.model);
  downstream::VariantOptions how = variant_options(options, model);
  const downstream::ScoreCost cost = downstream::cost(assay, how);
  Prediction prediction{.checkpoint = model.path.string(),
                        .scores = {},
                        .window = how.longest,
                        .passes = cost.passes,
                        .rows = cost.rows};
  if (static_cast<int64_t>(assay.target.size()) + 2 > how.longest)
    log_info(assay.name, " has ", assay.target.size(), " residues; it is scored in windows of ", how.longest,
             " rows");
  Progress progress(assay.name, static_cast<double>(cost.passes), "passes");
  how.progress = [&](double done) { progress.update(done); };
  const auto begin = std::chrono::steady_clock::now();
  prediction.scores = downstream::score_variants(*model.engine, model.config(), assay, how);
  prediction.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  progress.finish();
  require_scores(prediction);
  return prediction;
}

assays::Assay read(const Options& options) {
  assays::AssayOptions columns = options.columns;
  columns.needs_measured = !options.measured_column.empty();
  if (columns.needs_measured) columns.measured_column = options.measured_column;
  return assays::read_assay(options.assay,
                            options.sequence.empty() ? assays::find_target(options.assay, columns)
                                                     : assays::target_from(options.sequence),
                            columns);
}

Json to_json(const Options& options, const Prediction& prediction, const assays::AssayResult& result) {
  return {{"assays", Json::array({assays::to_json(result)})},
          {"averages", Json::object()},
          {"checkpoint", prediction.checkpoint},
          {"precision", options.model.precision},
          {"window", prediction.window},
          {"passes", prediction.passes},
          {"rows", prediction.rows},
          {"seconds", prediction.seconds}};
}

Json document(const Options& options, const std::vector<Prediction>& predictions,
              const assays::AssayComparison& comparison) {
  if (predictions.size() == 1) return to_json(options, predictions[0], comparison.results[0]);
  Json checkpoints = Json::array(), differences = Json::array();
  for (size_t i = 0; i < predictions.size(); ++i)
    checkpoints.push_back(to_json(options, predictions[i], comparison.results[i]));
  for (const assays::Comparison::Pair& pair : comparison.pairs)
    differences.push_back({{"name", comparison.results[0].name},
                           {"a", predictions[pair.first].checkpoint},
                           {"b", predictions[pair.second].checkpoint},
                           {"spearman", pair.difference.value},
                           {"spearman_error", pair.difference.error}});
  return {{"checkpoints", checkpoints}, {"differences", differences}};
}

std::string or_unknown(double value) {
  return std::isnan(value) ? "unknown" : fixed(value, 3);
}

void print_tables(std::ostream& out, const Options& options, const std::vector<Prediction>& predictions,
                  const assays::AssayComparison& comparison) {
  Table table({"checkpoint", "mutants", "Spearman", "NDCG", "AUC", "seconds"});
  for (size_t i = 0; i < predictions.size(); ++i) {
    const assays::AssayResult& result = comparison.results[i];
    table.add({predictions[i].checkpoint, std::to_string(result.mutants), to_text(result.spearman),
               or_unknown(result.ndcg), or_unknown(result.auc), fixed(predictions[i].seconds, 1)});
  }
  out << one_line(comparison.results[0].name) << ", " << options.method << "\n" << table.str();
  if (comparison.pairs.empty()) return;
  Table pairs({"a", "b", "Spearman a − b, paired"}, 2);
  for (const assays::Comparison::Pair& pair : comparison.pairs)
    pairs.add(
        {predictions[pair.first].checkpoint, predictions[pair.second].checkpoint, to_text(pair.difference)});
  out << "\n" << pairs.str();
}

int score(const Program& program, const Options& options) {
  enum_from_name<downstream::ScoreMethod>(options.method, "--method");
  if (options.assay.empty() == options.proteingym.empty())
    throw usage_error({.where = "score",
                       .expected = "--assay FILE.csv, or --proteingym DIR",
                       .found = options.assay.empty() ? "neither" : "both"});
  if (!options.proteingym.empty()) return score_proteingym(program, options);
  if (!options.output.empty()) require_output_file(options.output, options.force);
  const assays::Assay assay = read(options);
  const std::vector<std::string> columns = new_columns(options);
  assays::with_columns(assay.table, columns, {});  // an Error about a column comes before the work
  std::vector<Prediction> predictions;
  std::vector<std::vector<double>> scores;
  for (const std::string& checkpoint : options.checkpoints) {
    predictions.push_back(predict(program, options, assay, checkpoint));
    scores.push_back(predictions.back().scores);
  }
  const assays::AssayComparison comparison = assays::assess(assay, options.method, scores, options.bootstrap);
  if (!options.output.empty()) write_file(options.output, assays::with_columns(assay.table, columns, scores));
  if (program.json)
    program.print(document(options, predictions, comparison));
  else
    print_tables(program.out, options, predictions, comparison);
  return 0;
}

void add_columns(CLI::App& verb, Options& options) {
  verb.add_option("--mutant-column", options.columns.mutant_column, "Column of mutants: A24G or A24G:K30E")
      ->capture_default_str();
  verb.add_option("--sequence-column", options.columns.sequence_column,
                  "Column of whole mutated sequences, which may have insertions and deletions")
      ->capture_default_str();
  verb.add_option("--measured-column", options.measured_column,
                  "Column of measured fitness, higher is fitter; default: " +
                      options.columns.measured_column + ", if it is there");
  verb.add_option("--bin-column", options.columns.bin_column, "Column of 1 for fit, 0 for unfit: for the AUC")
      ->capture_default_str();
  verb.add_option("--score-column", options.score_column,
                  "Name of the column that --output adds; _1, _2, … follow it with several checkpoints")
      ->capture_default_str();
  verb.add_option("--offset", options.columns.offset,
                  "The sequence's first residue has number N + 1 in the mutants")
      ->capture_default_str();
}

}  // namespace

downstream::VariantOptions variant_options(const ScoreOptions& options, const ModelOnDevice& model) {
  return {.method = enum_from_name<downstream::ScoreMethod>(options.method, "--method"),
          .longest = options.window > 0 ? options.window : model.info.config.data.max_seq_len,
          .batch_rows = model.batch_rows};
}

std::vector<std::string> new_columns(const ScoreOptions& options) {
  if (options.checkpoints.size() == 1) return {options.score_column};
  std::vector<std::string> names;
  for (size_t i = 0; i < options.checkpoints.size(); ++i)
    names.push_back(text(options.score_column, "_", i + 1));
  return names;
}

void add_score(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(
      app, "score",
      "Scores variants of a protein without training on any: Spearman, NDCG and AUC of an assay",
      "esmscale score --checkpoint runs/8M --assay BLAT_ECOLX.csv --sequence BLAT_ECOLX.fasta");
  verb->add_option("--checkpoint", options->checkpoints,
                   "Run, checkpoint or Hugging Face folder; several for their paired differences")
      ->required()
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--assay", options->assay, "CSV with the variants");
  verb->add_option("--proteingym", options->proteingym,
                   "Folder of ProteinGym: its reference table and all its assays, in place of --assay");
  verb->add_option("--reference", options->reference,
                   "ProteinGym's reference table; default: DMS_substitutions.csv in the folder or in its "
                   "reference_files");
  verb->add_option(
      "--sequence", options->sequence,
      "The wild type: a FASTA file or its residues; default: the FASTA file of the CSV's name, or "
      "from the mutated sequences");
  verb->add_option("--method", options->method, "masked-marginals, wildtype-marginals or pseudo-likelihood")
      ->capture_default_str();
  add_columns(*verb, *options);
  verb->add_option(
          "--window", options->window,
          "Rows of a window for longer proteins, START and END included; default: data.max_seq_len of "
          "the model")
      ->check(CLI::Range(int64_t{8}, int64_t{1} << 20));
  verb->add_option("--bootstrap", options->bootstrap.draws, "Samples for the errors")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  verb->add_option("--seed", options->bootstrap.seed, "Seed of the samples")->capture_default_str();
  verb->add_option("--output", options->output,
                   "Write the CSV with a column of scores added; with --proteingym a folder of them, "
                   "where interrupted work resumes");
  add_force_flag(*verb, options->force);
  add_model_flags(*verb, options->model);
  verb->callback(
      [&program, options] { program.action = [&program, options] { return score(program, *options); }; });
}

}  // namespace esmscale::cli
