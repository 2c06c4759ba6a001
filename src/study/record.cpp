// state.json of a study, and its state as JSON and as a table.
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/study/state.h"
#include "study/runs/finished_run.h"

#include <cmath>
#include <iomanip>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

constexpr const char* kRule = "lowest mean of final losses over the sizes of the sweep";

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json to_json(const LrChoice& choice) {
  Json trials = Json::array();
  for (const LrTrial& trial : choice.trials)
    trials.push_back({{"run", trial.run}, {"factor", trial.factor}, {"loss", number_or_null(trial.loss)}});
  return {{"factor", choice.factor},
          {"rule", kRule},
          {"trials", std::move(trials)},
          {"warnings", choice.warnings}};
}

LrChoice choice_from(const Json& json) {
  LrChoice choice{.factor = json.at("factor"), .trials = {}, .warnings = json.at("warnings")};
  for (const Json& trial : json.at("trials"))
    choice.trials.push_back({trial.at("run"), trial.at("factor"), number(trial, "loss")});
  return choice;
}

std::filesystem::path file_of(const Study& study) {
  return study.folder / "state.json";
}

}  // namespace

StudyRecord read_record(const Study& study) {
  if (!std::filesystem::exists(file_of(study))) return {};
  const Json json = read_checked_json(file_of(study));
  try {
    StudyRecord record;
    record.data = json.at("data");
    record.holdout = json.at("holdout");
    record.device = json.value("device", "");  // programs before these two were remembered wrote neither
    record.settings = json.value("settings", std::vector<std::string>());
    if (!json.at("learning_rate").is_null()) record.choice = choice_from(json.at("learning_rate"));
    record.failures = json.at("failures").get<std::map<std::string, std::string>>();
    record.seconds = json.at("seconds").get<std::map<std::string, double>>();
    for (const auto& [run, process] : json.at("running").items())
      record.running[run] = {process.at("process"), process.at("since")};
    record.jobs = json.at("jobs").get<std::vector<std::string>>();
    return record;
  } catch (const Json::exception& problem) {
    throw Error({.where = file_of(study).string(),
                 .expected = "the state of a study",
                 .found = problem.what(),
                 .advice = "remove it: finished runs are known from their folders"});
  }
}

void write_record(const Study& study, const StudyRecord& record) {
  Json running = Json::object();
  for (const auto& [run, process] : record.running)
    running[run] = {{"process", process.id}, {"since", process.since}};
  write_checked_json(file_of(study), {{"format", "esmscale study state 2"},
                                      {"data", record.data},
                                      {"holdout", record.holdout},
                                      {"device", record.device},
                                      {"settings", record.settings},
                                      {"learning_rate", record.choice ? to_json(*record.choice) : Json()},
                                      {"failures", record.failures},
                                      {"seconds", record.seconds},
                                      {"running", std::move(running)},
                                      {"jobs", record.jobs}});
}

Json to_json(const Study& study, const StudyRecord& record, const StudyStatus& status) {
  Json rows = Json::array();
  for (size_t i = 0; i < study.runs.size(); ++i) {
    const StudyEntry& run = study.runs[i];
    const RunStatus& now = status.runs[i];
    rows.push_back({{"name", run.name},
                    {"stage", run.stage},
                    {"state", name_of(now.state)},
                    {"shape", run.shape},
                    {"budget", run.budget},
                    {"parameters", run.parameters},
                    {"tokens", run.tokens},
                    {"tokens_done", now.tokens},
                    {"loss", number_or_null(now.loss)},
                    {"holdout_label", now.holdout_label.empty() ? Json() : Json(now.holdout_label)},
                    {"flops_done", now.flops},
                    {"flops_left", now.flops_left},
                    {"hours", now.seconds / 3600},
                    {"error", now.error.empty() ? Json() : Json(now.error)}});
  }
  return {{"name", study.name},
          {"done", status.count(RunState::done)},
          {"running", status.count(RunState::running)},
          {"failed", status.count(RunState::failed)},
          {"waiting", status.count(RunState::waiting)},
          {"flops_done", status.flops_done},
          {"flops_left", status.flops_left},
          {"hours_done", status.seconds_done / 3600},
          {"hours_left", number_or_null(status.seconds_left / 3600)},
          {"learning_rate", record.choice ? to_json(*record.choice) : Json()},
          {"jobs", record.jobs},
          {"runs", std::move(rows)}};
}

std::string to_text(const Study& study, const StudyRecord& record, const StudyStatus& status) {
  size_t longest = 3;
  for (const StudyEntry& run : study.runs) longest = std::max(longest, run.name.size());
  std::ostringstream out;
  const auto row = [&](const auto&... cells) {
    const std::string all[] = {cells...};
    out << std::left << std::setw(int(longest) + 2) << all[0] << std::setw(9) << all[1] << std::right;
    for (size_t i = 2; i < std::size(all); ++i) out << std::setw(10) << all[i];
    out << "\n";
  };
  row("run", "state", "N", "D", "FLOPs", "done", "loss", "hours");
  for (size_t i = 0; i < study.runs.size(); ++i) {
    const StudyEntry& run = study.runs[i];
    const RunStatus& now = status.runs[i];
    row(run.name, name_of(now.state), human_count(run.parameters), human_count(run.tokens),
        scientific(run.flops, 1), fixed(100 * now.flops / run.flops, 0) + "%",
        std::isnan(now.loss) ? "-" : fixed(now.loss, 4), fixed(now.seconds / 3600, 2));
    if (!now.error.empty()) out << "  " << now.error << "\n";
  }
  if (record.choice) {
    out << "learning rate: " << record.choice->factor << " times the plan's (" << kRule << ")\n";
    for (const std::string& warning : record.choice->warnings) out << "warning: " << warning << "\n";
  }
  std::set<std::string> labels;
  for (const RunStatus& now : status.runs)
    if (!now.holdout_label.empty()) labels.insert(now.holdout_label);
  for (const std::string& label : labels) out << "holdout: " << label << "\n";
  out << status.count(RunState::done) << " of " << study.runs.size() << " runs done, "
      << status.count(RunState::failed) << " failed; " << scientific(status.flops_done, 2) << " FLOPs in "
      << human_duration(status.seconds_done) << ", " << scientific(status.flops_left, 2) << " left";
  if (std::isfinite(status.seconds_left)) out << " (" << human_duration(status.seconds_left) << ")";
  out << "\n";
  return out.str();
}

}  // namespace esmscale::study
