#include "cli/checks.h"
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/interop/loaded_model.h"
#include "esmscale/interop/scoring.h"
#include "esmscale/train/device.h"
#include "esmscale/train/host_memory.h"

#include <unordered_set>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

constexpr int64_t kGpuRows = 16384;
constexpr const char* kHidden = "/hidden";

struct Options {
  std::string checkpoint, input, output, device = "auto", engine = "auto";
  bool embeddings = false;
  int64_t batch_rows = -1;  // −1: chosen for the device
};

// The file's header is JSON with tensors' names as keys: they are UTF-8, and one key is its own.
void require_tensor_name(const std::string& name, const std::string& where) {
  constexpr const char* kAdvice = "give the record another identifier";
  try {
    static_cast<void>(Json(name).dump());
  } catch (const Json::type_error&) {
    throw Error({.where = where,
                 .expected = "an identifier in UTF-8: it names a tensor",
                 .found = to_text(name),
                 .advice = kAdvice});
  }
  if (name == "__metadata__")
    throw Error({.where = where,
                 .expected = "an identifier that can name a tensor",
                 .found = name + ", which safetensors keeps for itself",
                 .advice = kAdvice});
}

// All of them: names must be right before anything is computed, and the file's header holds every shape.
std::vector<data::FastaRecord> read_records(const std::string& path, bool embeddings) {
  data::FastaCounts counts;
  data::FastaReader reader(path, counts, /*has_masks=*/true);
  std::vector<data::FastaRecord> records;
  std::unordered_set<std::string> names;
  for (data::FastaRecord record; reader.next(record); records.push_back(record)) {
    require_tensor_name(record.identifier, text(path, ", record ", records.size() + 1));
    if (!names.insert(record.identifier).second)
      throw Error({.where = path,
                   .expected = "each identifier once: it names a tensor",
                   .found = record.identifier + " twice",
                   .advice = "rename one of them"});
  }
  for (const data::FastaRecord& record : records)
    if (const std::string hidden = record.identifier + kHidden; embeddings && names.contains(hidden))
      throw Error(
          {.where = path,
           .expected = text("no identifier ", hidden, ": it names the embeddings of ", record.identifier),
           .found = "both",
           .advice = "rename one of them, or leave --embeddings out"});
  return records;
}

// Rotary positions go on beyond the crop, so longer sequences are computed whole; how well is another matter.
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
  const auto engine =
      model::make_engine(weights, {.engine = enum_from_name<config::EngineKind>(options.engine, "--engine")});
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
  require_output_file(options.output);
  train::install_counting_allocator();
  at::set_num_threads(program.thread_count());
  const std::vector<data::FastaRecord> records = read_records(options.input, options.embeddings);
  const at::Device device = train::choose_device(options.device);
  const interop::LoadedModel model = interop::load_model(options.checkpoint);
  note_long_ones(records, model.info.config.data.max_seq_len);
  const model::Weights weights = model::copy_of(model.weights, device);
  const interop::ScoringOptions scoring{
      .batch_rows = options.batch_rows >= 0 ? options.batch_rows : (device.is_cuda() ? kGpuRows : 0)};
  write_scores(options, weights, records, scoring);
  if (program.json)
    program.print({{"output", options.output},
                   {"checkpoint", model.path.string()},
                   {"sequences", records.size()},
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
  verb->add_option("--input", options->input, "FASTA (.gz, .zst, - for stdin); _ is MASK, J becomes X")
      ->required();
  verb->add_option("--output", options->output, "safetensors: NAME is [residues + 2, tokens], float32")
      ->required();
  verb->add_flag("--embeddings", options->embeddings,
                 "NAME/hidden too: final hidden states [residues + 2, width]");
  verb->add_option(
          "--batch-rows", options->batch_rows,
          "Rows of a forward pass; 0 gives each sequence its own (default: 0 on a CPU, 16384 on a GPU)")
      ->check(whole_number());
  verb->add_option("--device", options->device, "auto, cpu or cuda")->capture_default_str();
  verb->add_option("--engine", options->engine, "auto, fused or plain (the reference)")
      ->check(CLI::IsMember({"auto", "fused", "plain"}))
      ->capture_default_str();
  verb->callback([&program, options] {
    program.action = [&program, options] { return write_logits(program, *options); };
  });
}

}  // namespace esmscale::cli
