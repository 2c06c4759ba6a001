#include "esmscale/downstream/embed.h"

#include "downstream/embed_state.h"
#include "downstream/embedding_files.h"
#include "downstream/passes.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/data/fasta/fasta.h"
#include "esmscale/model/observe.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include <nlohmann/json.hpp>

namespace esmscale::downstream {
namespace {

namespace fs = std::filesystem;

// What the whole input holds; reading it once finds every error in it before anything is computed.
struct Input {
  int64_t proteins = 0, residues = 0;
  RunningChecksum checksum{};
};

Input survey(const EmbedOptions& options) {
  Input input;
  std::unordered_set<size_t> names;  // hashes: bounded memory for identifiers of any length
  data::FastaCounts counts;
  data::FastaReader reader(options.input, counts);
  for (data::FastaRecord record; reader.next(record);) {
    ++input.proteins;
    input.residues += static_cast<int64_t>(record.residues.size());
    input.checksum.add(bytes_of(record.identifier));
    input.checksum.add(bytes_of(std::span(record.residues)));
    if (!names.insert(std::hash<std::string>()(record.identifier)).second)
      throw Error({.where = options.input,
                   .expected = "each identifier once: it names the embeddings",
                   .found = record.identifier + " twice",
                   .advice = "rename one of them"});
    if (record.residues.empty() && !options.include_ends)
      throw Error({.where = options.input,
                   .expected = "residues in every protein",
                   .found = record.identifier + " without any",
                   .advice = "leave it out, or use --include-ends"});
  }
  if (input.proteins == 0)
    throw Error({.where = options.input, .expected = "at least one protein", .found = "none"});
  return input;
}

void require_format(const EmbedOptions& options) {
  if (options.format != EmbeddingFormat::npy) return;
  if (options.per_residue)
    throw usage_error({.where = "--format npy",
                       .expected = "one vector a protein: proteins differ in length",
                       .found = "--per-residue",
                       .advice = "use --format safetensors"});
  if (options.type == EmbeddingType::bf16)
    throw usage_error({.where = "--format npy",
                       .expected = "--dtype fp32 or fp16: NumPy knows no bf16",
                       .found = "bf16",
                       .advice = "use --format safetensors"});
}

Json request_of(Json request, const EmbedOptions& options, const Input& input) {
  request["input"] = {
      {"proteins", input.proteins}, {"residues", input.residues}, {"checksum", input.checksum.hex()}};
  request["layers"] = options.layers;
  request["rows"] = options.include_ends ? "residues, START and END" : "residues";
  request["values"] = options.per_residue ? "per residue" : "mean over rows";
  request["dtype"] = enum_name(options.type);
  request["format"] = enum_name(options.format);
  return request;
}

class Embedder {
 public:
  Embedder(model::Engine& engine, const model::Weights& weights, const EmbedOptions& options)
      : engine_(engine),
        weights_(weights),
        options_(options),
        tokens_(data::TokenList::of(weights.config.alphabet)) {}

  // The chosen layers' values of each protein.
  std::vector<std::vector<at::Tensor>> embed(std::span<const data::FastaRecord> proteins) {
    data::PackedBatch packed{.cu_seqlens = {0}};
    for (const data::FastaRecord& protein : proteins) {
      const std::vector<int32_t> rows = tokens_of(protein.residues, tokens_);
      packed.tokens.insert(packed.tokens.end(), rows.begin(), rows.end());
      packed.cu_seqlens.push_back(static_cast<int32_t>(packed.tokens.size()));
      packed.mask_counts.push_back(0);
      packed.sequences.push_back(0);
    }
    std::vector<std::vector<at::Tensor>> values(proteins.size());
    const auto take = [&](const at::Tensor& x_TD) {
      for (size_t i = 0; i < proteins.size(); ++i) values[i].push_back(value_of(x_TD, packed, i));
    };
    const model::DeviceBatch batch = model::to_device(packed, weights_.config, tokens_, engine_.device());
    const bool only_last = options_.layers == std::vector<int64_t>{weights_.config.layers};
    if (only_last)
      take(engine_.hidden(batch));
    else
      model::observe(weights_, batch, at::kFloat, {.state = [&](int64_t layer, const at::Tensor& x_TD) {
                       if (std::binary_search(options_.layers.begin(), options_.layers.end(), layer))
                         take(x_TD);
                     }});
    return values;
  }

 private:
  at::Tensor value_of(const at::Tensor& x_TD, const data::PackedBatch& packed, size_t i) const {
    const int64_t inset = options_.include_ends ? 0 : 1;
    const int64_t begin = packed.cu_seqlens[i] + inset, end = packed.cu_seqlens[i + 1] - inset;
    const at::Tensor rows_nD = x_TD.narrow(0, begin, end - begin);
    const at::Tensor value = options_.per_residue ? rows_nD : rows_nD.mean(0);
    return value.to(scalar_type(options_.type)).cpu().clone();  // a view would keep the whole batch
  }

  model::Engine& engine_;
  const model::Weights& weights_;
  const EmbedOptions& options_;
  const data::TokenList& tokens_;
};

// Batches of records that fill a pass, at least one record each; empty at the end.
class Batches {
 public:
  Batches(const EmbedOptions& options, int64_t skip)
      : reader_(options.input, counts_), limit_(options.batch_rows) {
    for (data::FastaRecord record; skip > 0 && reader_.next(record);) --skip;
    has_next_ = reader_.next(next_);
  }
  std::vector<data::FastaRecord> next() {
    std::vector<data::FastaRecord> batch;
    int64_t rows = 0;
    while (has_next_) {
      rows += static_cast<int64_t>(next_.residues.size()) + 2;
      if (!batch.empty() && rows > limit_) break;
      batch.push_back(std::move(next_));
      has_next_ = reader_.next(next_);
    }
    return batch;
  }

 private:
  data::FastaCounts counts_;
  data::FastaReader reader_;
  int64_t limit_;
  data::FastaRecord next_;
  bool has_next_ = false;
};

void write_index(const EmbedOptions& options, const fs::path& folder,
                 const std::vector<int64_t>& shard_ends) {
  AtomicOutput output(folder / "index.tsv");
  OutputFile file(output.path());
  file.write("row\tidentifier\tresidues\tfile\n");
  data::FastaCounts counts;
  data::FastaReader reader(options.input, counts);
  int64_t row = 0, shard = 0;
  for (data::FastaRecord record; reader.next(record); ++row) {
    const bool is_matrix = options.format == EmbeddingFormat::npy;
    if (!is_matrix && row == shard_ends.at(static_cast<size_t>(shard))) ++shard;
    file.write(text(row, '\t', record.identifier, '\t', record.residues.size(), '\t',
                    is_matrix ? "layer_*.npy" : shard_name(shard), '\n'));
  }
  file.close();
  output.publish();
}

}  // namespace

std::vector<int64_t> parse_layers(const std::string& layers, int64_t model_layers) {
  std::vector<int64_t> chosen;
  if (layers == "all") {
    for (int64_t layer = 0; layer <= model_layers; ++layer) chosen.push_back(layer);
    return chosen;
  }
  for (const std::string& part : split(layers, ',')) {
    int64_t layer = 0;
    const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), layer);
    if (layer < 0) layer += model_layers + 1;
    if (problem != std::errc() || end != part.data() + part.size() || layer < 0 || layer > model_layers)
      throw usage_error({.where = "--layers",
                         .expected = text("'all', or numbers from 0 (the embedding) to ", model_layers,
                                          " (after the final norm), with commas between; -1 is the last"),
                         .found = text("'", part, "'")});
    chosen.push_back(layer);
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  if (chosen.empty()) throw usage_error({.where = "--layers", .expected = "a layer", .found = "none"});
  return chosen;
}

int64_t embed(model::Engine& engine, const model::Weights& weights, Json request, const EmbedOptions& options,
              const fs::path& folder, bool force) {
  require_format(options);
  require_no_pipe(options.input, "it is read three times, as all of it is checked before the first pass");
  const Input input = survey(options);
  EmbedState state(folder, request_of(std::move(request), options, input), input.proteins);
  state.begin(force);
  if (state.done() < input.proteins) {
    const std::unique_ptr<EmbeddingFiles> files =
        open_embedding_files(options, {.folder = folder,
                                       .proteins = input.proteins,
                                       .done = state.done(),
                                       .shards = static_cast<int64_t>(state.shard_ends().size()),
                                       .width = weights.config.width});
    Embedder embedder(engine, weights, options);
    Batches batches(options, state.done());
    int64_t added = state.done();
    for (auto batch = batches.next(); !batch.empty(); batch = batches.next()) {
      const auto values = embedder.embed(batch);
      for (size_t i = 0; i < batch.size(); ++i) files->add(batch[i].identifier, values[i]);
      added += static_cast<int64_t>(batch.size());
      state.add(files->settle(added == input.proteins), options.format == EmbeddingFormat::safetensors);
      if (options.progress) options.progress(static_cast<double>(added));
    }
  }
  write_index(options, folder, state.shard_ends());
  return input.proteins;
}

}  // namespace esmscale::downstream
