#include "esmscale/data/fasta/fasta.h"

#include "cli/checks.h"
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"

#include <charconv>
#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options {
  std::string folder, range, output;
  bool force = false;
};

struct Range {
  int64_t begin, end;
};

int64_t number(std::string_view part, int64_t otherwise, const std::string& whole) {
  if (part.empty()) return otherwise;
  int64_t value = -1;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (error != std::errc() || end != part.data() + part.size() || value < 0)
    throw usage_error({.where = "--range", .expected = "A:B, such as 0:100", .found = "'" + whole + "'"});
  return value;
}

// "A:B", "A:" or ":B", half-open.
Range parse_range(const std::string& given, int64_t sequences) {
  const size_t colon = given.find(':');
  if (colon == std::string::npos)
    throw usage_error({.where = "--range", .expected = "A:B, such as 0:100", .found = "'" + given + "'"});
  const std::string_view all = given;
  const Range range{number(all.substr(0, colon), 0, given), number(all.substr(colon + 1), sequences, given)};
  if (range.begin > range.end || range.end > sequences)
    throw usage_error({.where = "--range",
                       .expected = text("A ≤ B ≤ ", sequences, ", the sequences of the data set"),
                       .found = "'" + given + "'"});
  return range;
}

int run(const Program& program, const Options& options) {
  const std::string& output = options.output;
  if (program.json && output.empty())
    throw usage_error({.where = "fasta --json",
                       .expected = "--output, as the standard output cannot hold FASTA and JSON both",
                       .found = "none"});
  if (!output.empty()) require_output_file(output, options.force);
  const data::Dataset dataset(options.folder);
  const Range range =
      options.range.empty() ? Range{0, dataset.sequences()} : parse_range(options.range, dataset.sequences());
  data::SequenceReader reader(dataset);
  const std::unique_ptr<data::FastaWriter> writer =
      output.empty() ? data::fasta_writer_to(program.out) : data::open_fasta_writer(output);
  int64_t residues = 0;
  for (int64_t sequence = range.begin; sequence < range.end; ++sequence) {
    const std::string identifier = reader.identifier(sequence);
    const std::span<const uint8_t> codes = reader.residues(sequence);
    writer->add(identifier, codes);
    residues += static_cast<int64_t>(codes.size());
  }
  writer->finish();
  if (program.json)
    program.print({{"output", output}, {"sequences", range.end - range.begin}, {"residues", residues}});
  return 0;
}

}  // namespace

void add_fasta(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(app, "fasta", "Sequences of a data set as FASTA, in shuffled order",
                                    "esmscale fasta data/train --range 0:1000 --output first.fasta.gz");
  verb->add_option("DATASET", options->folder, "Folder of the data set")->required();
  verb->add_option("--range", options->range, "Sequences A:B, counted from 0, B not among them");
  verb->add_option("--output", options->output,
                   "File, compressed when it ends in .gz or .zst; else the standard output");
  add_force_flag(*verb, options->force);
  verb->callback(
      [&program, options] { program.action = [&program, options] { return run(program, *options); }; });
}

}  // namespace esmscale::cli
