// checkpoint.json: CheckpointInfo in and out.
#include "checkpoint/info.h"

#include "esmscale/core/json_reader.h"
#include "esmscale/run/run_folder.h"

#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {
namespace {

constexpr std::string_view kFormat = "esmscale checkpoint";

// Every field with its key, in the order of the file. A number is also given the lowest value it may have.
template <class Info, class Visit>
void for_each_field(Info& info, const Visit& visit) {
  visit("step", info.step, 0);
  visit("updates", info.updates, 0);
  visit("tokens", info.tokens, 0);
  visit("sequences", info.sequences, 0);
  visit("flops", info.flops, 0);
  visit("flops_6nd", info.flops_6nd, 0);
  visit("data", info.data, 0);
  visit("data_order_version", info.data_order_version, 0);
  visit("bad_steps", info.bad_steps, 0);
  visit("bad_in_a_row", info.bad_in_a_row, 0);
  visit("dataset_hash", info.dataset_hash, 0);
  visit("letter_counts", info.letter_counts, 0);
  visit("holdout_label", info.holdout_label, 0);
  visit("best_holdout_loss", info.best_holdout_loss, 0);
  visit("best_step", info.best_step, -1);
  visit("parent", info.parent, 0);
  visit("origin", info.origin, 0);
}

struct Writer {
  Json& json;

  template <class T>
  void operator()(const char* key, const T& value, int64_t) const {
    json[key] = value;
  }
  void operator()(const char* key, const data::DataState& state, int64_t) const {
    json[key] = {{"epoch", state.epoch}, {"next", state.next}};
  }
};

struct Reader {
  const JsonReader& json;

  void operator()(const char* key, int64_t& value, int64_t low) const { value = json.integer(key, low); }
  void operator()(const char* key, int& value, int64_t low) const {
    value = static_cast<int>(json.integer(key, low, std::numeric_limits<int>::max()));
  }
  void operator()(const char* key, double& value, int64_t) const { value = json.number(key); }
  void operator()(const char* key, std::string& value, int64_t) const { value = json.text(key); }
  void operator()(const char* key, data::DataState& state, int64_t low) const {
    state.epoch = json.object(key).integer("epoch", low);
    state.next = json.object(key).integer("next", low);
  }
  template <size_t size>
  void operator()(const char* key, std::array<int64_t, size>& values, int64_t low) const {
    const std::vector<JsonReader> elements = json.array(key);
    if (elements.size() != size) json.at(key).fail("an array of " + std::to_string(size));
    for (size_t i = 0; i < size; ++i) values[i] = elements[i].integer(low);
  }
};

}  // namespace

Json info_to_json(const CheckpointInfo& info) {
  Json json{{"format", kFormat}, {"version", kCheckpointVersion}};
  for_each_field(info, Writer{json});
  json["config"] = config::to_json(info.config);
  if (info.holdout_loss) json["holdout_loss"] = *info.holdout_loss;
  return json;
}

CheckpointInfo info_from_json(const Json& json, const std::filesystem::path& file) {
  const JsonReader reader(json, file.string());
  reader.require_format(kFormat, kCheckpointVersion);
  CheckpointInfo info;
  info.config = config::recorded_config(reader.at("config").json(), file.string() + " (config)");
  for_each_field(info, Reader{reader});
  if (reader.has("holdout_loss")) info.holdout_loss = reader.number("holdout_loss");
  return info;
}

void write_metadata(const std::filesystem::path& folder, const CheckpointInfo& info, const Json& bytes,
                    const Json& blocks) {
  Json json = info_to_json(info);
  json["bytes"] = bytes;
  json["blocks"] = blocks;
  write_checked_json(folder / run::kCheckpointMetadata, json);
}

}  // namespace esmscale::checkpoint
