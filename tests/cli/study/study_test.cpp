// esmscale study, as processes: a whole little study, failures, what stays as it began, and every wrong
// folder.
#include "cli/study/study_verb.h"

#include <map>
#include <sstream>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

// Oracle: the rule itself, over the final losses that the run folders hold.
TEST_F(StudyVerb, RunsTheSweepThenTheRestAtTheChosenRate) {
  plan();
  EXPECT_EQ(status()["waiting"], 12);
  ASSERT_EQ(start("run"), 0) << said();
  const Json after = status();
  EXPECT_EQ(after["done"], 12);
  EXPECT_EQ(after["flops_left"], 0);
  EXPECT_GT(after["hours_done"].get<double>(), 0);

  std::map<double, double> sums;
  for (const Json& trial : after["learning_rate"]["trials"]) {
    const std::vector<Json> lines = [&] {
      std::vector<Json> all;
      std::istringstream file(
          read_file(folder + "/runs/" + trial["run"].get<std::string>() + "/metrics.jsonl"));
      for (std::string line; std::getline(file, line);) all.push_back(parse_json(line, "metrics"));
      return all;
    }();
    sums[trial["factor"]] += lines.back()["eval/loss"].get<double>();
  }
  ASSERT_EQ(sums.size(), 4u);
  const double chosen = after["learning_rate"]["factor"];
  for (const auto& [factor, sum] : sums) EXPECT_LE(sums.at(chosen), sum) << factor;
  for (const Json& row : planned()) {
    if (row["stage"] != "main") continue;
    const Json config = read_json(folder + "/runs/" + row["name"].get<std::string>() + "/config.json");
    EXPECT_DOUBLE_EQ(config["optimizer"]["lr"].get<double>(), chosen * row["lr"].get<double>());
  }

  // Again: nothing is trained, nothing changes. A fit takes the main runs and names the trials it left out.
  const std::string metrics = read_file(folder + "/runs/" + first_main() + "/metrics.jsonl");
  ASSERT_EQ(start("run"), 0) << said();
  EXPECT_EQ(read_file(folder + "/runs/" + first_main() + "/metrics.jsonl"), metrics);
  const Json laws = json_of(
      {"fit", folder + "/runs", "--output", temporary / "laws", "--bootstrap", "0", "--log-level", "error"});
  EXPECT_EQ(laws["points"], 4);
}

// Enough for the longest run to stay within one epoch.
struct StudyOfBranches : StudyVerb {
  StudyOfBranches() : StudyVerb(6000) {}
};

// Oracle: the tokens that each run itself trains on, from its metrics.
TEST_F(StudyOfBranches, BranchesBeginAtTheirTrunks) {
  plan("1e10,2e10", {"--no-lr-sweep", "--trunks", "--exponent", "0"});
  ASSERT_EQ(planned().size(), 16u);
  const std::string broken = planned()[0]["name"];
  const std::string config = folder + "/configs/" + broken + ".json", good = read_file(config);
  write_file(config, "{\"model\": 3}");
  EXPECT_EQ(start("run"), 1);
  EXPECT_THAT(said(), AllOf(HasSubstr("1 failed: " + broken), HasSubstr("3 wait for")));
  write_file(config, good);
  ASSERT_EQ(start("retry"), 0) << said();
  EXPECT_EQ(status()["done"], 16);
  for (const Json& row : planned()) {
    std::istringstream file(read_file(folder + "/runs/" + row["name"].get<std::string>() + "/metrics.jsonl"));
    std::string first, last;
    std::getline(file, first);
    for (std::string line; std::getline(file, line);) last = line;
    EXPECT_NEAR(parse_json(last, "metrics")["tokens"].get<double>(), row["tokens"].get<double>(), 256);
    EXPECT_GE(parse_json(first, "metrics")["tokens"].get<double>(), row["tokens_before"].get<double>() - 256);
    EXPECT_EQ(row["parent"] != "", row["tokens_before"].get<double>() > 0);
  }
  const Json laws = json_of(
      {"fit", folder + "/runs", "--output", temporary / "laws", "--bootstrap", "0", "--log-level", "error"});
  EXPECT_EQ(laws["points"], 8);
  EXPECT_EQ(laws["excluded"].size(), 8u);
  EXPECT_THAT(laws["excluded"][0]["why"].get<std::string>(), HasSubstr("trunk"));
}

// Oracle: the same study one run after the other; each run has one thread either way.
TEST_F(StudyVerb, TwoAtATimeIsTheSameStudy) {
  const auto losses = [&] {
    std::map<std::string, double> by_name;
    for (const Json& row : statuses()) by_name[row["name"]] = row["loss"];
    return by_name;
  };
  plan();
  ASSERT_EQ(start("run", "--jobs 2"), 0) << said();
  EXPECT_EQ(status()["done"], 12);
  EXPECT_EQ(status()["running"], 0);
  const auto at_once = losses();
  fs::remove_all(folder);
  plan();
  ASSERT_EQ(start("run"), 0) << said();
  EXPECT_EQ(losses(), at_once);
}

TEST_F(StudyVerb, AFailureDoesNotEndItAndIsRunAgain) {
  plan("1e9", {"--no-lr-sweep"});
  const std::string broken = planned()[1]["name"];
  const std::string config = folder + "/configs/" + broken + ".json", good = read_file(config);
  write_file(config, "{\"model\": {\"wdth\": 3}}");
  EXPECT_EQ(start("run", "--set train.seed=7"), 1);
  EXPECT_THAT(said(), AllOf(HasSubstr("1 failed: " + broken), HasSubstr("study retry")));
  EXPECT_EQ(status()["done"], 3);
  for (const Json& row : statuses())
    if (row["name"] == broken) {
      EXPECT_THAT(row["error"].get<std::string>(), HasSubstr("wdth"));
    }
  // Started again, it is not tried again: only retry does.
  EXPECT_EQ(start("run"), 1);
  EXPECT_EQ(start("retry"), 1);
  write_file(config, good);
  // The options of the first start hold for all others.
  EXPECT_EQ(std::system(bare_command("retry").c_str()), 0) << said();
  EXPECT_EQ(status()["done"], 4);
  EXPECT_EQ(read_json(folder + "/runs/" + broken + "/config.json")["train"]["seed"], 7);
  EXPECT_THAT(read_json(folder + "/runs/" + broken + "/environment.json")[0]["command_line"],
              Contains("--device=cpu"));
}

// Runs of one study differ in what was planned, whatever options a later start gets.
TEST_F(StudyVerb, WhatItBeganWithStays) {
  plan("1e9", {"--no-lr-sweep"});
  const std::string broken = planned()[1]["name"];
  const std::string config = folder + "/configs/" + broken + ".json", good = read_file(config);
  // Nothing has trained yet: a slip can be mended.
  EXPECT_EQ(start("run", "--set train.sead=7"), 1);
  write_file(config, "{\"model\": 3}");
  EXPECT_EQ(start("retry", "--set train.seed=7"), 1);
  EXPECT_EQ(status()["done"], 3);
  const std::string state = read_file(folder + "/state.json");

  const data::ProteinSet other(data::ProteinSet::random(81, 50));
  const auto refused = [&](const Arguments& more) {
    return refusal_of(2, Arguments{"study", "retry", folder, "--threads", "1"} + more);
  };
  EXPECT_THAT(refused({"--set", "train.seed=8"}), AllOf(HasSubstr("--set"), HasSubstr("train.seed=7"),
                                                        HasSubstr("train.seed=8"), HasSubstr("new folder")));
  EXPECT_THAT(
      refused({"--data", other.folder()}),
      AllOf(HasSubstr("--data"), HasSubstr(train_set.folder().string()), HasSubstr(other.folder().string())));
  EXPECT_THAT(refused({"--holdout", other.folder()}),
              AllOf(HasSubstr("--holdout"), HasSubstr(holdout.folder().string()),
                    HasSubstr(other.folder().string())));
  EXPECT_THAT(refused({"--set", "train.seed=7", "--set", "data.train=" + other.folder().string()}),
              HasSubstr("--set"));
  EXPECT_EQ(read_file(folder + "/state.json"), state);

  // The same set elsewhere, another device, and how the run is computed.
  write_file(config, good);
  fs::copy(train_set.folder(), temporary / "moved");
  ASSERT_EQ(std::system((bare_command("retry") + " --threads 1 --device auto --data " +
                         (temporary / "moved").string() +
                         " --set train.seed=7 --set train.engine=plain --set log.every_steps=1")
                            .c_str()),
            0)
      << said();
  EXPECT_THAT(said(), HasSubstr("--device auto from here on; the runs before had cpu"));
  EXPECT_EQ(status()["done"], 4);
}

TEST_F(StudyVerb, WrongFoldersAndWrongUsage) {
  EXPECT_THAT(refusal_of(1, {"study", "run", folder}), HasSubstr("no such folder"));
  fs::create_directories(folder);
  EXPECT_THAT(refusal_of(1, {"study", "status", folder}), HasSubstr("no study.json"));
  write_file(folder + "/study.json", "{\"format\": \"esmscale study 1\", \"name\"");
  refusal_of(1, {"study", "status", folder});
  for (const auto& [content, found] :
       {std::pair{"[]", "expected an object, found an array"}, std::pair{"{}", "the key 'format'"},
        std::pair{R"({"format": 3})", "format: expected a text, found 3"},
        std::pair{R"({"format": "another"})", "another"},
        std::pair{R"({"format": "esmscale study", "version": 3})", "3"},
        std::pair{R"({"format": "esmscale study 1", "name": "x"})", "the key 'runs'"},
        std::pair{R"({"format": "esmscale study 1", "name": "x", "runs": {}})", "runs: expected an array"},
        std::pair{R"({"format": "esmscale study 1", "name": "x", "runs": []})", "at least one run"},
        std::pair{R"({"format": "esmscale study 1", "name": "x", "runs": [3]})",
                  "runs[0]: expected an object"},
        std::pair{R"({"format": "esmscale study 1", "name": "x", "runs": [{"name": "a"}]})",
                  "runs[0].stage"}}) {
    write_file(folder + "/study.json", content);
    EXPECT_THAT(refusal_of(1, {"study", "status", folder}),
                AllOf(HasSubstr(folder + "/study.json"), HasSubstr(found)));
  }
  fs::remove_all(folder);

  plan();
  EXPECT_THAT(refusal_of(2, {"study", "run", folder, "--slurm"}), HasSubstr("--data"));
  EXPECT_THAT(refusal_of(2, {"study", "walk", folder}), HasSubstr("walk"));
  write_file(folder + "/state.json", "{\"format\": \"esmscale study state 2\"}");
  refusal_of(1, {"study", "status", folder});
  fs::remove(folder + "/state.json");
  fs::remove(folder + "/configs/" + first_main() + ".json");
  EXPECT_THAT(refusal_of(1, {"study", "status", folder}), HasSubstr(first_main()));
}

// Oracle: none of the files outside the study changes, and the error names the row.
TEST_F(StudyVerb, NamesOfRunsStayInsideTheFolder) {
  plan("1e9", {"--no-lr-sweep"});
  const Json good = read_json(folder + "/study.json");
  for (const std::string name : {"../outside", "/tmp/outside", "..", "a/b", "", "a\nb", "--resume"}) {
    Json bad = good;
    bad["runs"][1]["name"] = name;
    write_file(folder + "/study.json", to_text(bad));
    EXPECT_THAT(refusal_of(1, {"study", "run", folder}), HasSubstr("runs[1].name")) << name;
  }
  Json twice = good, circle = good;
  twice["runs"][1]["name"] = good["runs"][0]["name"];
  circle["runs"][0]["parent"] = good["runs"][1]["name"];
  write_file(folder + "/study.json", to_text(twice));
  EXPECT_THAT(refusal_of(1, {"study", "run", folder}), HasSubstr("one run only"));
  write_file(folder + "/study.json", to_text(circle));
  EXPECT_THAT(refusal_of(1, {"study", "run", folder}), HasSubstr("runs[0].parent"));
}

// Oracle: arithmetic: the plan's tokens against one epoch of the set.
TEST_F(StudyVerb, RunsBeyondTheirDataAreRefusedByName) {
  plan("1e10", {"--no-lr-sweep", "--unique-tokens", "100M"});
  EXPECT_EQ(start("run"), 2);
  EXPECT_THAT(said(), AllOf(HasSubstr(planned()[0]["name"].get<std::string>()), HasSubstr("1 epoch of"),
                            HasSubstr("train.epochs")));
  EXPECT_FALSE(fs::exists(folder + "/runs/" + planned()[0]["name"].get<std::string>()));
  // A later start may mend it.
  ASSERT_EQ(start("run", "--set train.epochs=100"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
}

TEST_F(StudyVerb, WhatItsRunsNeedIsAskedFor) {
  plan("1e9", {"--no-lr-sweep"});
  EXPECT_EQ(WEXITSTATUS(std::system(bare_command("run --device cpu").c_str())), 2);
  EXPECT_THAT(said(), HasSubstr("expected --data DIR, the training set of its runs"));
  const std::string data = "run --threads 1 --device cpu --data " + train_set.folder().string();
  EXPECT_EQ(WEXITSTATUS(std::system(bare_command(data).c_str())), 0) << said();
  EXPECT_THAT(said(), HasSubstr("no --holdout: the runs will have no holdout loss"));
}

// "finished" in the metrics is not enough: of the two runs one has lost its checkpoint.
TEST_F(StudyVerb, ARunWithoutItsCheckpointIsNotDone) {
  plan("1e9", {"--no-lr-sweep"});
  ASSERT_EQ(start("run"), 0) << said();
  const std::string name = planned()[2]["name"], run = folder + "/runs/" + name;
  fs::remove_all(run + "/checkpoints");
  EXPECT_EQ(status()["done"], 3);
  EXPECT_EQ(state_of(name), "waiting");
  const Json laws = json_of(
      {"fit", folder + "/runs", "--output", temporary / "laws", "--bootstrap", "0", "--log-level", "error"});
  EXPECT_EQ(laws["points"], 3);
  EXPECT_THAT(laws["excluded"][0]["why"].get<std::string>(), HasSubstr("checkpoint"));
  ASSERT_EQ(start("run"), 0) << said();
  EXPECT_EQ(status()["done"], 4);
}

// A study of arbitrary rows: a shipped configuration with other settings in each.
TEST_F(StudyVerb, RowsMayBeAConfigurationWithSettings) {
  const Json shape{{"model.layers", 1},
                   {"model.width", 16},
                   {"model.heads", 2},
                   {"model.ffn", 0},
                   {"train.precision", "fp32"},
                   {"data.max_seq_len", 64},
                   {"train.epochs", 1},
                   {"train.max_tokens", 0},
                   {"train.batch_tokens", 256},
                   {"train.pack_tokens", 128},
                   {"train.micro_batch_tokens", 0}};
  Json constant = shape, seed = shape;
  constant["schedule.name"] = "constant";
  seed["train.seed"] = 2;
  const Json study{{"format", "esmscale study"},
                   {"version", 2},
                   {"name", "rows"},
                   {"runs",
                    {{{"name", "decay"}, {"base", "esm2_5M.json"}, {"set", shape}},
                     {{"name", "constant"}, {"base", "esm2_5M.json"}, {"set", constant}},
                     {{"name", "other_seed"}, {"base", "esm2_5M.json"}, {"set", seed}}}}};
  fs::create_directories(folder);
  write_file(folder + "/study.json", to_text(study));
  EXPECT_EQ(status()["waiting"], 3);
  ASSERT_EQ(start("run"), 0) << said();
  EXPECT_EQ(status()["done"], 3);
  EXPECT_EQ(read_json(folder + "/runs/constant/config.json")["schedule"]["name"], "constant");
  EXPECT_EQ(read_json(folder + "/runs/other_seed/config.json")["train"]["seed"], 2);
  EXPECT_EQ(read_json(folder + "/runs/decay/config.json")["study"]["name"], "rows");
}

}  // namespace
}  // namespace esmscale::cli
