#include "cli/checks.h"
#include "cli/device_flag.h"
#include "cli/enum_flag.h"
#include "cli/model_flags.h"
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/data/fasta/unique_names.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/interop/scoring.h"
#include "esmscale/train/process/device.h"
#include "esmscale/train/process/process_setup.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

constexpr int64_t kGpuRows = 16384;
constexpr const char* kHidden = "/hidden";

struct Options {
  std::string checkpoint, input, output;
  train::DeviceChoice device = train::DeviceChoice::automatic;
  optim::WeightSet weights = optim::WeightSet::trained;
  config::EngineKind engine = config::EngineKind::automatic;
  config::Precision precision = config::Precision::fp32;
  bool embeddings = false, drops_gaps = false, renames = false, force = false;
  int64_t batch_rows = -1;  // −1: chosen for the device
};

struct Records {
  std::vector<data::FastaRecord> all;
  data::FastaCounts counts;
  int64_t renamed = 0;
};

// All of them: names must be right before anything is computed, and the file's header holds every shape.
Records read_records(const Options& options) {
  Records records;
  const data::Gaps gaps = options.drops_gaps ? data::Gaps::drop : data::Gaps::refuse;
  data::FastaReader reader(options.input, records.counts, /*has_masks=*/true, gaps);
  data::UniqueNames names(options.input, options.renames);
  for (data::FastaRecord record; reader.next(record); records.all.push_back(record)) {
    record.identifier = names.take(record.identifier);
    if (record.identifier == "__metadata__")
      throw Error({.where = text(options.input, ", record ", records.counts.records),
                   .expected = "an identifier that can name a tensor",
                   .found = record.identifier + ", which safetensors keeps for itself",
                   .advice = "give the record another identifier"});
  }
  for (const data::FastaRecord& record : records.all)
    if (const std::string hidden = record.identifier + kHidden; options.embeddings && names.contains(hidden))
      throw Error(
          {.where = options.input,
           .expected = text("no identifier ", hidden, ": it names the embeddings of ", record.identifier),
           .found = "both",
           .advice = "rename one of them, or leave --embeddings out"});
  records.renamed = names.renamed();
  return records;
}

// What makes rows differ from the letters of the file.
void note_changes(const Records& records) {
  const data::FastaCounts& counts = records.counts;
  if (counts.gaps_dropped + counts.stops_dropped > 0)
    log_warning("letters that have no row: gaps_dropped ", counts.gaps_dropped, ", stops_dropped ",
                counts.stops_dropped, "; the rows of a sequence with gaps are not its columns");
  if (counts.j_to_x + counts.stops_to_x > 0)
    log_warning("letters that were read as X: j_to_x ", counts.j_to_x, ", stops_to_x ", counts.stops_to_x);
  if (counts.empty > 0)
    log_warning("records without residues, START and END only: ", counts.empty, ", the first ",
                counts.first_empty);
  if (records.renamed > 0) log_warning("records with a repeated identifier were renamed: ", records.renamed);
}

// Rotary positions have no limit, so longer sequences are computed whole; the model was not trained on them.
void note_long_ones(const std::vector<data::FastaRecord>& records, int64_t max_seq_len) {
  int64_t count = 0, longest = 0;
  for (const data::FastaRecord& record : records) {
    const auto rows = static_cast<int64_t>(record.residues.size()) + 2;
    longest = std::max(longest, rows);
    count += rows > max_seq_len;
  }
  if (count > 0)
    log_warning(count, " sequences have more rows (up to ", longest, ") than the ", max_seq_len,
                " that the model was trained on; they are computed whole");
}

std::vector<TensorEntry> entries_of(const std::vector<data::FastaRecord>& records,
                                    const config::ModelConfig& model, bool embeddings) {
  std::vector<TensorEntry> entries;
  for (const data::FastaRecord& record : records) {
    const auto rows = static_cast<int64_t>(record.residues.size()) + 2;
    entries.push_back({.name = record.identifier, .dtype = "F32", .shape = {rows, model.alphabet}});
    if (embeddings)
      entries.push_back({.name = record.identifier + kHidden, .dtype = "F32", .shape = {rows, model.width}});
  }
  return entries;
}

void write(OutputFile& file, const at::Tensor& values) {
  file.write({static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()});
}

void write_scores(const Options& options, const model::Weights& weights,
                  const std::vector<data::FastaRecord>& records, const interop::ScoringOptions& scoring) {
  const auto engine = model::make_engine(weights, {.engine = options.engine, .precision = options.precision});
  std::vector<TensorEntry> entries = entries_of(records, weights.config, options.embeddings);
  const Json tokens = data::TokenList::of(weights.config.alphabet).names();
  const std::string header = safetensors_header(entries, {{"tokens", to_text(tokens)}});
  require_free_space(options.output, header.size() + entries.back().end);
  AtomicOutput output(options.output);
  OutputFile file(output.path());
  file.write(header);
  interop::score_records(*engine, weights, records, scoring,
                         [&](const data::FastaRecord&, const interop::SequenceScores& scores) {
                           write(file, scores.logits_TV);
                           if (options.embeddings) write(file, scores.hidden_TD);
                         });
  file.close();
  output.publish();
}

int write_logits(const Program& program, const Options& options) {
  require_output_file(options.output, options.force);
  train::set_up_process(program.thread_count());
  const Records read = read_records(options);
  const std::vector<data::FastaRecord>& records = read.all;
  note_changes(read);
  const at::Device device = train::choose_device(options.device);
  const interop::LoadedModel model = interop::load_model(options.checkpoint, options.weights);
  interop::require_numbers(model.weights, model.path);
  note_long_ones(records, model.info.config.data.max_seq_len);
  const model::Weights weights = model::copy_of(model.weights, device);
  const interop::ScoringOptions scoring{
      .batch_rows = options.batch_rows >= 0 ? options.batch_rows : (device.is_cuda() ? kGpuRows : 0)};
  write_scores(options, weights, records, scoring);
  if (program.json)
    program.print({{"output", options.output},
                   {"checkpoint", model.path.string()},
                   {"sequences", records.size()},
                   {"counts", data::to_json(read.counts.named())},
                   {"renamed", read.renamed},
                   {"tokens", data::TokenList::of(weights.config.alphabet).names()}});
  else
    program.out << options.output << ": logits of " << records.size() << " sequences over "
                << weights.config.alphabet << " tokens\n";
  return 0;
}

}  // namespace

void add_logits(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(
      app, "logits", "Logits of every residue of a FASTA file, in which _ is MASK",
      "esmscale logits --checkpoint runs/8M --input variants.fasta --output logits.safetensors");
  verb->add_option("--checkpoint", options->checkpoint, "Run, checkpoint or Hugging Face folder")->required();
  add_weights_flag(*verb, options->weights);
  verb->add_option("--input", options->input,
                   "FASTA (.gz, .zst, - for stdin); _ is MASK, J and inner stops become X")
      ->required();
  verb->add_option("--output", options->output, "safetensors: NAME is [residues + 2, tokens], float32")
      ->required();
  verb->add_flag("--drop-gaps", options->drops_gaps,
                 "Read aligned sequences without their gaps - and ., which are an error otherwise");
  verb->add_flag("--rename-repeats", options->renames,
                 "Number repeated identifiers: the second a is a_2; without it they are an error");
  verb->add_flag("--embeddings", options->embeddings,
                 "NAME/hidden too: final hidden states [residues + 2, width]");
  verb->add_option(
          "--batch-rows", options->batch_rows,
          "Rows of a forward pass; 0 gives each sequence its own (default: 0 on a CPU, 16384 on a GPU)")
      ->check(whole_number());
  add_force_flag(*verb, options->force);
  add_device_flag(*verb, options->device);
  add_enum_flag(*verb, "--engine", options->engine, "auto, fused or plain (the reference)");
  add_precision_flag(*verb, options->precision);
  verb->callback([&program, options] {
    program.action = [&program, options] { return write_logits(program, *options); };
  });
}

}  // namespace esmscale::cli
