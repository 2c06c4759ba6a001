// checkpoint.json: CheckpointInfo in and out.
#include "checkpoint/info.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {

Json info_to_json(const CheckpointInfo& info) {
  Json json{{"format", "esmscale checkpoint"},
            {"version", kCheckpointVersion},
            {"step", info.step},
            {"updates", info.updates},
            {"tokens", info.tokens},
            {"sequences", info.sequences},
            {"flops", info.flops},
            {"flops_6nd", info.flops_6nd},
            {"data", {{"epoch", info.data.epoch}, {"next", info.data.next}}},
            {"data_order_version", info.data_order_version},
            {"bad_steps", info.bad_steps},
            {"bad_in_a_row", info.bad_in_a_row},
            {"dataset_hash", info.dataset_hash},
            {"letter_counts", info.letter_counts},
            {"holdout_label", info.holdout_label},
            {"best_holdout_loss", info.best_holdout_loss},
            {"best_step", info.best_step},
            {"parent", info.parent},
            {"origin", info.origin},
            {"config", config::to_json(info.config)}};
  if (info.holdout_loss) json["holdout_loss"] = *info.holdout_loss;
  return json;
}

CheckpointInfo info_from_json(const Json& json, const std::filesystem::path& file) {
  if (json.value("format", "") != "esmscale checkpoint")
    throw Error({.where = file.string(), .expected = "an esmscale checkpoint", .found = "another document"});
  if (const int version = json.value("version", 0); version > kCheckpointVersion)
    throw Error({.where = file.string(),
                 .expected = text("checkpoint version ", kCheckpointVersion, " or older"),
                 .found = text("version ", version),
                 .advice = "use the newer esmscale that wrote it"});
  try {
    CheckpointInfo info;
    info.config = config::config_from_json(json.at("config"), file.string() + " (config)");
    json.at("step").get_to(info.step);
    json.at("updates").get_to(info.updates);
    json.at("tokens").get_to(info.tokens);
    json.at("sequences").get_to(info.sequences);
    json.at("flops").get_to(info.flops);
    json.at("flops_6nd").get_to(info.flops_6nd);
    json.at("data").at("epoch").get_to(info.data.epoch);
    json.at("data").at("next").get_to(info.data.next);
    json.at("data_order_version").get_to(info.data_order_version);
    json.at("bad_steps").get_to(info.bad_steps);
    info.bad_in_a_row = json.value("bad_in_a_row", int64_t{0});  // older checkpoints have none
    json.at("dataset_hash").get_to(info.dataset_hash);
    json.at("letter_counts").get_to(info.letter_counts);
    json.at("holdout_label").get_to(info.holdout_label);
    json.at("best_holdout_loss").get_to(info.best_holdout_loss);
    json.at("best_step").get_to(info.best_step);
    json.at("parent").get_to(info.parent);
    json.at("origin").get_to(info.origin);
    if (json.contains("holdout_loss")) info.holdout_loss = json["holdout_loss"].get<double>();
    return info;
  } catch (const Json::exception& error) {
    throw Error({.where = file.string(), .expected = "every key of a checkpoint", .found = error.what()});
  }
}

}  // namespace esmscale::checkpoint
