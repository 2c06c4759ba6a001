// state.json of a study, and its state as JSON and as a table.
#include "esmscale/core/error.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/state.h"

#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

constexpr const char* kRule = "lowest mean of final losses over the sizes of the sweep";

Json to_json(const LearningRateChoice& choice) {
  Json trials = Json::array();
  for (const LearningRateTrial& trial : choice.trials)
    trials.push_back({{"run", trial.run}, {"factor", trial.factor}, {"loss", number_or_null(trial.loss)}});
  return {{"factor", choice.factor},
          {"rule", kRule},
          {"trials", std::move(trials)},
          {"warnings", choice.warnings}};
}

std::vector<std::string> texts_of(const JsonReader& json, const char* key) {
  std::vector<std::string> texts;
  if (!json.has(key)) return texts;
  for (const JsonReader& one : json.array(key)) texts.push_back(one.text());
  return texts;
}

LearningRateChoice choice_of(const JsonReader& json) {
  LearningRateChoice choice{
      .factor = json.number("factor"), .trials = {}, .warnings = texts_of(json, "warnings")};
  for (const JsonReader& trial : json.array("trials"))
    choice.trials.push_back({trial.text("run"), trial.number("factor"), trial.number_or("loss", NAN)});
  return choice;
}

StudyRecord record_of(const JsonReader& json) {
  StudyRecord record;
  record.data = json.text("data");
  record.holdout = json.text("holdout");
  record.device = json.text_or("device", "");
  record.settings = texts_of(json, "settings");
  if (json.has("learning_rate")) record.choice = choice_of(json.object("learning_rate"));
  for (const auto& [run, error] : json.at("failures").members()) record.failures[run].error = error.text();
  for (const std::string& run : texts_of(json, "killed"))
    if (const auto failure = record.failures.find(run); failure != record.failures.end())
      failure->second.was_killed = true;
  for (const auto& [run, seconds] : json.at("seconds").members()) record.seconds[run] = seconds.number();
  for (const auto& [run, start] : json.at("running").members()) record.running[run] = start.number("since");
  record.jobs = texts_of(json, "jobs");
  return record;
}

std::filesystem::path file_of(const Study& study) {
  return study.folder / "state.json";
}

}  // namespace

StudyRecord read_record(const Study& study) {
  if (!std::filesystem::exists(file_of(study))) return {};
  try {
    return record_of(JsonReader(read_checked_json(file_of(study)), file_of(study).string()));
  } catch (const Error& error) {
    Error::Report report = error.report();
    report.advice = "remove the file: runs that are done are known from their folders";
    throw Error(std::move(report));
  }
}

void write_record(const Study& study, const StudyRecord& record) {
  Json failures = Json::object(), killed = Json::array(), running = Json::object();
  for (const auto& [run, failure] : record.failures) {
    failures[run] = failure.error;
    if (failure.was_killed) killed.push_back(run);
  }
  for (const auto& [run, since] : record.running) running[run] = {{"since", since}};
  write_checked_json(file_of(study), {{"format", "esmscale study state 3"},
                                      {"data", record.data},
                                      {"holdout", record.holdout},
                                      {"device", record.device},
                                      {"settings", record.settings},
                                      {"learning_rate", record.choice ? to_json(*record.choice) : Json()},
                                      {"failures", std::move(failures)},
                                      {"killed", std::move(killed)},
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
                    {"stage", enum_name(run.stage)},
                    {"state", enum_name(now.state)},
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
  Table table({"run", "state", "N", "D", "FLOPs", "done", "loss", "hours"}, 2);
  std::string errors;
  std::set<std::string> labels;
  for (size_t i = 0; i < study.runs.size(); ++i) {
    const StudyEntry& run = study.runs[i];
    const RunStatus& now = status.runs[i];
    const double all = now.flops + now.flops_left;
    table.add({run.name, std::string(enum_name(now.state)), human_count(run.parameters),
               human_count(run.tokens), scientific(run.flops, 1),
               fixed(all > 0 ? 100 * now.flops / all : 0, 0) + "%",
               std::isnan(now.loss) ? "-" : fixed(now.loss, 4), fixed(now.seconds / 3600, 2)});
    if (!now.error.empty()) errors += one_line(text(run.name, ": ", now.error)) + "\n";
    if (!now.holdout_label.empty()) labels.insert(now.holdout_label);
  }
  std::string out = table.str() + errors;
  if (record.choice) {
    out += text("learning rate: ", record.choice->factor, " times the plan's (", kRule, ")\n");
    for (const std::string& warning : record.choice->warnings) out += "warning: " + one_line(warning) + "\n";
  }
  for (const std::string& label : labels) out += "holdout: " + one_line(label) + "\n";
  return out +
         text(status.count(RunState::done), " of ", study.runs.size(), " runs done, ",
              status.count(RunState::failed), " failed; ", scientific(status.flops_done, 2), " FLOPs in ",
              human_duration(status.seconds_done), ", ", scientific(status.flops_left, 2), " left",
              std::isfinite(status.seconds_left) ? text(" (", human_duration(status.seconds_left), ")") : "",
              "\n");
}

}  // namespace esmscale::study
