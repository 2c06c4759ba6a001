#include "downstream/embed_state.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"
#include "esmscale/downstream/embed.h"

#include <algorithm>
#include <functional>

namespace esmscale::downstream {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "esmscale embeddings";
constexpr int kVersion = 1;

// Removes the files of an earlier embed(); others in the folder stay.
void remove_embeddings(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("embeddings-") || name.starts_with("layer_") || name == "index.tsv")
      remove_tree(entry);
  }
}

}  // namespace

void EmbedState::begin(bool force) {
  std::error_code ignored;
  const fs::path folder = path_.parent_path();
  const bool is_ours = fs::exists(path_, ignored);
  if (is_ours && take_up()) return;
  if (fs::exists(folder, ignored) && !fs::is_empty(folder, ignored) && !(is_ours && force))
    throw Error(
        {.where = folder.string(),
         .expected = "an empty folder, or one that the same command began",
         .found = is_ours ? "embeddings of another model, input or layer" : "other files",
         .advice = is_ours ? "give another --output, or --force to replace it" : "give another --output"});
  make_own_folder(folder);
  remove_embeddings(folder);
  write();
}

void EmbedState::add(int64_t settled, bool ends_shard) {
  if (settled == done_) return;
  done_ = settled;
  if (ends_shard) shard_ends_.push_back(settled);
  write();
}

bool EmbedState::take_up() {
  const JsonReader found = JsonReader::of_file(path_);
  found.require_format(kFormat, kVersion);
  if (found.at("request").json() != request_) return false;
  done_ = found.integer("done", 0, proteins_);
  for (const JsonReader& end : found.array("shard_ends")) shard_ends_.push_back(end.integer(1, done_));
  const bool ascends =
      std::adjacent_find(shard_ends_.begin(), shard_ends_.end(), std::greater_equal<>()) == shard_ends_.end();
  if (!ascends || !has_shards_up_to_done())
    found.at("shard_ends").fail(text("numbers that grow up to 'done', ", done_));
  return true;
}

// A matrix a layer has no shards.
bool EmbedState::has_shards_up_to_done() const {
  if (text_in(request_, "format") != enum_name(EmbeddingFormat::safetensors)) return shard_ends_.empty();
  return (shard_ends_.empty() ? 0 : shard_ends_.back()) == done_;
}

void EmbedState::write() const {
  const Json json{{"format", kFormat},     {"version", kVersion}, {"request", request_},
                  {"proteins", proteins_}, {"done", done_},       {"shard_ends", shard_ends_}};
  write_file(path_, to_text(json, 2) + "\n");
}

}  // namespace esmscale::downstream
