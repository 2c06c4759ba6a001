#include "esmscale/data/prepare/prepare.h"

#include "cli/checks.h"
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/fasta/fasta.h"

#include <memory>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

Json set_json(const std::filesystem::path& folder, const data::DatasetManifest& manifest) {
  return {{"output", folder.string()},
          {"sequences", manifest.sequences},
          {"clusters", manifest.clusters},
          {"residues", manifest.residues},
          {"tokens", manifest.tokens},
          {"max_length", manifest.max_length},
          {"shards", manifest.shards},
          {"bytes", manifest.bytes},
          {"hash", manifest.hash},
          {"split", manifest.split},
          {"unigram_entropy", manifest.unigram_entropy},
          {"baseline_loss", manifest.baseline_loss}};
}

Json summary_json(const data::PrepareOptions& options, const data::PrepareSummary& summary) {
  Json json = set_json(options.output, summary.train);
  json["seed"] = options.seed;
  json["counts"] = data::to_json(summary.counts);
  json["warnings"] = summary.warnings;
  json["input_bytes"] = summary.input_bytes;
  json["fasta_bytes"] = summary.text_bytes;
  json["temporary_bytes"] = summary.temporary_bytes;
  json["seconds"] = summary.seconds;
  json["holdout"] = summary.holdout ? set_json(options.holdout_output, *summary.holdout) : Json();
  return json;
}

void print_set(std::ostream& out, const std::filesystem::path& folder,
               const data::DatasetManifest& manifest) {
  out << folder.string() << ": " << manifest.sequences << " sequences, ";
  if (manifest.clusters > 0) out << manifest.clusters << " clusters, ";
  out << manifest.residues << " residues, " << human_bytes(static_cast<double>(manifest.bytes)) << " in "
      << manifest.shards << " shards, baseline loss " << fixed(manifest.baseline_loss, 4) << " nats";
  if (!manifest.split.empty()) out << " (" << one_line(manifest.split) << ")";
  out << "\n";
}

void print_summary(std::ostream& out, const data::PrepareOptions& options,
                   const data::PrepareSummary& summary) {
  print_set(out, options.output, summary.train);
  if (summary.holdout) print_set(out, options.holdout_output, *summary.holdout);
  const std::string cases = data::listed(summary.counts);
  out << "from " << summary.records << " records" << (cases.empty() ? "" : ", ") << cases << "; "
      << human_duration(summary.seconds) << ", "
      << fixed(static_cast<double>(summary.text_bytes) / 1e6 / summary.seconds, 1) << " MB/s of FASTA\n";
}

int attach_report(const Program& program, const data::PrepareOptions& options, const std::string& file) {
  if (!options.inputs.empty() || options.output.empty())
    throw usage_error({.where = "--attach-report",
                       .expected = "--output, the folder of the holdout, and no --input",
                       .found = options.inputs.empty() ? "no --output" : join(options.inputs, ", ")});
  data::attach_holdout_report(options.output, read_json(file));
  const data::DatasetManifest manifest = data::Dataset(options.output).manifest();
  if (program.json)
    program.print(set_json(options.output, manifest));
  else
    print_set(program.out, options.output, manifest);
  return 0;
}

}  // namespace

void add_prepare(CLI::App& app, Program& program) {
  struct Given {
    data::PrepareOptions options{};
    std::string memory = "1GiB", report;
  };
  auto given = std::make_shared<Given>();
  data::PrepareOptions& o = given->options;
  CLI::App* verb = program.add_verb(app, "prepare", "FASTA to a shuffled token data set",
                                    "esmscale prepare --input uniref50.fasta.gz --output data/train "
                                    "--holdout 8000 --holdout-output data/holdout");
  verb->add_option("--input", o.inputs, "FASTA files: plain, .gz or .zst; - is the standard input");
  verb->add_option("--sequence-column", o.columns.sequence,
                   "The inputs are tables (CSV or TSV with a header line); this column has the sequences");
  verb->add_option("--id-column", o.columns.identifier,
                   "Column of the identifiers (default: row_1, row_2, …)");
  verb->add_option("--output", o.output, "Folder of the data set")->required();
  verb->add_option("--seed", o.seed, "Seed of the shuffle")
      ->check(whole_number(UINT64_MAX))
      ->capture_default_str();
  verb->add_flag("--keep-order", o.keep_order,
                 "No shuffle: the input is what esmscale fasta wrote, in random order already");
  verb->add_option("--exclude", o.exclude, "File of identifiers to leave out, one a line");
  verb->add_option(
      "--clusters", o.clusters,
      "Table of clusters and members (MMseqs2's *_cluster.tsv): an epoch trains one member of each, "
      "drawn anew every epoch");
  verb->add_flag("--allow-missing", o.allow_missing,
                 "No error when no sequence has an identifier of --exclude, or of --clusters");
  verb->add_option(
          "--holdout", o.holdout,
          "The last N sequences (with --clusters: clusters) in shuffled order go to --holdout-output")
      ->check(whole_number());
  verb->add_option("--holdout-output", o.holdout_output, "Folder of the held-out data set");
  verb->add_option("--limit", o.limit, "Then keep the first N sequences, or clusters, in shuffled order")
      ->check(whole_number());
  verb->add_option("--min-length", o.min_length, "Leave out shorter sequences, in residues")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_option("--eval-length", o.eval_length, "Residues of an evaluation window")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_flag("--deduplicate", o.deduplicate, "Keep identical residues once: the first in the input");
  verb->add_option("--memory", given->memory, "What the process may hold, such as 500M or 4GiB")
      ->capture_default_str();
  add_force_flag(*verb, o.force);
  verb->add_option(
      "--attach-report", given->report,
      "Read no input: put this report (JSON) of a check of the holdout in --output into its manifest");
  verb->callback([&program, given] {
    program.action = [&program, given] {
      data::PrepareOptions& options = given->options;
      if (!given->report.empty()) return attach_report(program, options, given->report);
      options.memory = parse_size(given->memory, "--memory");
      options.threads = program.thread_count();
      const data::PrepareSummary summary = data::prepare(options);
      if (program.json)
        program.print(summary_json(options, summary));
      else
        print_summary(program.out, options, summary);
      return 0;
    };
  });
}

}  // namespace esmscale::cli
