#include "cli/info.h"

#include "cli/verb.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/interop/hugging_face.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/runs/runs.h"
#include "esmscale/study/state.h"

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;

Json model_json(const config::ModelConfig& model) {
  const accounting::ParameterCounts counts = accounting::count_parameters(model);
  return {{"name", model.name},
          {"layers", model.layers},
          {"width", model.width},
          {"heads", model.heads},
          {"ffn", model.ffn_dim()},
          {"alphabet", model.alphabet},
          {"kaplan_non_embedding", counts.kaplan_non_embedding},
          {"trainable", counts.trainable}};
}

// What decides how the model was trained, besides its shape.
Json training_json(const config::RunConfig& config) {
  return {{"token_dropout", config.model.token_dropout},
          {"mlm_probability", config.masking.mlm_probability},
          {"final_mlm_probability", config.masking.final_mlm_probability},
          {"max_seq_len", config.data.max_seq_len},
          {"schedule", std::string(enum_name(config.schedule.name))},
          {"lr", config.optimizer.lr},
          {"data", config.data.train},
          {"holdout", config.data.holdout}};
}

// Beside the weights, by the names of --weights.
Json averages_json(const config::AverageConfig& config) {
  Json names = Json::array();
  for (const optim::WeightSet average : optim::averages_of(config)) names.push_back(enum_name(average));
  return names;
}

Json checkpoint_info(const fs::path& path, bool verify) {
  if (verify) checkpoint::load_checkpoint(path);
  const checkpoint::CheckpointInfo info = checkpoint::read_checkpoint_info(path);
  Json json{{"kind", "checkpoint"},
            {"path", path.string()},
            {"model", model_json(info.config.model)},
            {"training", training_json(info.config)},
            {"step", info.step},
            {"tokens", info.tokens},
            {"sequences", info.sequences},
            {"flops", info.flops},
            {"flops_6nd", info.flops_6nd},
            {"epoch", info.data.epoch},
            {"next", info.data.next},
            {"dataset_hash", info.dataset_hash},
            {"parent", info.parent},
            {"averages", averages_json(info.config.average)},
            {"verified", verify}};
  if (info.holdout_loss) {
    json["holdout_loss"] = *info.holdout_loss;
    json["holdout_label"] = info.holdout_label;
  }
  return json;
}

Json run_info(const fs::path& path, bool verify) {
  const run::RunFolder run(path);
  const config::RunConfig config = run.read_config();
  const std::vector<Json> lines = run::read_metrics(run.metrics());
  Json json{{"kind", "run"},
            {"path", path.string()},
            {"model", model_json(config.model)},
            {"training", training_json(config)},
            {"lines", lines.size()}};
  const std::string missing = study::missing_at_end(run, lines);
  json["finished"] = missing.empty();
  if (!missing.empty()) json["unfinished"] = missing;
  if (!lines.empty()) json["last"] = lines.back();
  json["checkpoints"] = Json::array();
  for (const run::CheckpointFolder& checkpoint : run.list_checkpoints()) {
    try {
      json["checkpoints"].push_back(checkpoint_info(checkpoint.path, verify));
    } catch (const Error&) {
      if (checkpoint::is_checkpoint(checkpoint.path)) throw;  // else the run has removed it meanwhile
    }
  }
  json["verified"] = verify;
  if (verify) json["without_checksum"] = {"config.json", "metrics.jsonl", "environment.json"};
  return json;
}

// Its files have no checksums: with --verify they are read and their shapes compared, no more.
Json hugging_face_info(const fs::path& path, bool verify) {
  if (verify) interop::import_hugging_face(path);
  const checkpoint::CheckpointInfo info = interop::read_hugging_face_info(path);
  return {{"kind", "huggingface"},
          {"path", path.string()},
          {"model", model_json(info.config.model)},
          {"verified", false},
          {"without_checksum", {"config.json", "model.safetensors"}}};
}

Json study_info(const fs::path& path) {
  const study::Study planned = study::read_study(path);
  const study::StudyRecord record = study::read_record(planned);
  const study::StudyStatus status = study::status_of(planned, record);
  Json json{
      {"kind", "study"}, {"path", path.string()}, {"name", planned.name}, {"runs", planned.runs.size()}};
  for (const auto& [state, name] : EnumNames<study::RunState>::table) json[name] = status.count(state);
  return json;
}

Json laws_info(const fs::path& file) {
  const Json laws = read_json(file);
  Json json{{"kind", "laws"}, {"path", file.string()}};
  for (const char* key : {"points", "basis", "planning", "warnings"})
    if (const auto value = laws.find(key); value != laws.end()) json[key] = *value;
  return json;
}

void print_lines(std::ostream& out, const Json& json, const std::string& indent = "") {
  for (const auto& [key, value] : json.items()) {
    const bool nested =
        value.is_object() || (value.is_array() && !value.empty() && value.front().is_object());
    const std::string shown = value.is_string() ? value.get<std::string>() : to_text(value);
    out << indent << one_line(key) << (nested ? ":" : ": " + one_line(shown)) << "\n";
    if (nested) print_lines(out, value, indent + "  ");
  }
}

// For everything except a data set.
Json document_of(const fs::path& path, bool verify) {
  if (checkpoint::is_checkpoint(path)) return checkpoint_info(path, verify);
  if (interop::is_hugging_face_folder(path)) return hugging_face_info(path, verify);
  if (run::RunFolder(path).is_run()) return run_info(path, verify);
  if (fs::exists(path / "study.json")) return study_info(path);
  if (path.filename() == "laws.json" || fs::exists(path / "laws.json"))
    return laws_info(fs::is_directory(path) ? path / "laws.json" : path);
  throw Error({.where = path.string(),
               .expected = "a data set, a checkpoint, a run, a Hugging Face folder, a study or laws.json",
               .found = fs::exists(path) ? "none of them" : "nothing there"});
}

int info(const Program& program, const fs::path& path, bool verify,
         const std::vector<std::string>& prefixes) {
  std::vector<int64_t> sizes;
  for (const std::string& size : prefixes) sizes.push_back(parse_size(size, "--prefix"));
  if (is_dataset(path)) {
    const DatasetInfo dataset(path, verify, sizes);
    if (program.json)
      program.print(to_json(dataset));
    else
      print(program.out, dataset);
    return 0;
  }
  const Json json = document_of(path, verify);
  if (program.json)
    program.print(json);
  else
    print_lines(program.out, json);
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Program& program) {
  struct Options {
    std::string path;
    bool verify = false;
    std::vector<std::string> prefixes;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(
      app, "info", "What a data set, checkpoint, run, Hugging Face folder, study or laws.json holds",
      "esmscale info data/train --verify");
  verb->add_option("PATH", options->path, "The folder, or laws.json")->required();
  verb->add_flag("--verify", options->verify, "Read every byte again against its checksum");
  verb->add_option("--prefix", options->prefixes,
                   "Also the residues and tokens of a data set's first N sequences (repeatable)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  verb->callback([&program, options] {
    program.action = [&program, options] {
      return info(program, options->path, options->verify, options->prefixes);
    };
  });
}

}  // namespace esmscale::cli
