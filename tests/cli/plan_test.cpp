// esmscale plan, assess and study plan: budgets, known models, studies; every way to ask wrongly.
#include "cli/outcome.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "support/temporary.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A hand-written laws.json: what plan reads and nothing more.
constexpr const char* kLaws = R"({"format": "esmscale laws 1",
  "basis": {"source": "test", "flop_count": "6nd", "parameter_count": "kaplan", "loss": "eval", "dataset": "",
            "holdout": "", "holdout_label": "", "alphabet": "", "mean_squared_length": 0, "flops_over_6nd": []},
  "approach3": {"E": 1.8, "A": 480, "B": 2100, "alpha": 0.35, "beta": 0.37, "draws": []},
  "runs": [{"flops": 1e18}, {"flops": 1e20}], "warnings": ["too few seeds"]})";

class Plan : public testing::Test {
 protected:
  void SetUp() override { write_file(laws, kLaws); }
  Outcome plan(std::vector<std::string> flags) {
    flags.insert(flags.begin(), "plan");
    return run(flags);
  }
  TemporaryFolder folder;
  std::string laws = folder / "laws.json";
};

// Oracle: the closed form of the law above at C = 1e20.
TEST_F(Plan, ABudgetByTheClosedForm) {
  const Outcome outcome =
      plan({"--laws", laws, "--flops", "1e20", "--output", folder / "next", "--name", "next", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json json = parse_json(outcome.out, "stdout");
  const double g = std::pow(0.35 * 480 / (0.37 * 2100), 1 / 0.72), n = g * std::pow(1e20 / 6, 0.37 / 0.72);
  EXPECT_NEAR(json["optimum"]["parameters"]["value"].get<double>() / n, 1, 1e-9);
  EXPECT_EQ(read_json(folder / "next/plan.json")["optimum"], json["optimum"]);
  const Json config = read_json(folder / "next/configs/next.json");
  EXPECT_EQ(config["model"]["width"], json["shape"]["width"]);
  EXPECT_EQ(read_file(folder / "next/configs.txt"), "configs/next.json\n");
  EXPECT_THAT(read_file(folder / "next/array.sbatch"), HasSubstr("--job-name=next\n#SBATCH --array=0-0\n"));
}

// The first command that a user types: no law, and an answer that names whose data it comes from.
TEST_F(Plan, WithoutALawAPublishedOne) {
  const Outcome outcome = plan({"--flops", "1e20"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("cheng-mlm"), HasSubstr("other people's data"),
                                 HasSubstr("esmscale study plan DIR --isoflop")));
  EXPECT_EQ(plan({"--gpu-hours", "1000", "--device", "h100"}).status, 0);
  const Outcome none = plan({"--law", "paper-exponents", "--flops", "1e20"});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("exponents"));
}

// Oracle: 100 h × 3600 s × 989 TFLOP/s (H100 SXM, bf16, dense) × 0.5.
TEST_F(Plan, ABudgetInGpuHours) {
  const Outcome outcome =
      plan({"--laws", laws, "--gpu-hours", "100", "--device", "h100", "--mfu", "0.5", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NEAR(parse_json(outcome.out, "stdout")["flops"].get<double>() / (100 * 3600 * 989e12 * 0.5), 1,
              1e-9);
}

// Oracles: the measured 120.6K tokens/s of 648.8M parameters (docs/performance.md), whose FLOPs per second
// any larger model has; and a rate that is given, which buys D = rate · hours whatever N is.
TEST_F(Plan, HoursBuyFlopsAtTheRateOfTheTable) {
  const auto planned = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--laws", laws, "--gpu-hours", "100", "--json"});
    const Outcome outcome = plan(flags);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return parse_json(outcome.out, "stdout");
  };
  const Json measured = planned({});
  EXPECT_NEAR(measured["flops"].get<double>() / (100 * 3600 * 120.6e3 * 6 * 6.48806e8), 1, 1e-6);
  EXPECT_NEAR(measured["plans"][0]["days"].get<double>() * 24, 100, 2);
  const Json given = planned({"--device", "abacus", "--tokens-per-second", "50K"});
  EXPECT_NEAR(given["optimum"]["tokens"]["value"].get<double>() / (100 * 3600 * 50e3), 1, 1e-6);
}

// One count of days in one output, and the job asks for 1.3 times as many, in whole hours.
TEST_F(Plan, DaysAreThoseOfTheDeviceAsAsked) {
  EXPECT_THAT(plan({"--laws", laws, "--flops", "1e20"}).out,
              AllOf(HasSubstr("measured on one H200"), ::testing::Not(HasSubstr("% MFU"))));
  EXPECT_THAT(plan({"--laws", laws, "--flops", "1e20", "--device", "a100"}).out, HasSubstr("at 40% MFU"));
  EXPECT_THAT(plan({"--laws", laws, "--flops", "1e20", "--mfu", "0.3"}).out, HasSubstr("30% MFU, as given"));
  const Json json = parse_json(
      plan({"--laws", laws, "--flops", "1e19", "--gpus", "2", "--output", folder / "next", "--json"}).out,
      "stdout");
  const double hours = std::ceil(1.3 * 24 * json["plans"][0]["days"].get<double>());
  ASSERT_LT(hours, 24);
  EXPECT_THAT(read_file(folder / "next/array.sbatch"), HasSubstr(text("--time=", hours, ":00:00")));
}

// Oracle: the plan for the budget, whose loss, N and D are asked for in turn.
TEST_F(Plan, ALossAModelOrAnAmountOfData) {
  const auto answer = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--laws", laws, "--json"});
    const Outcome outcome = plan(flags);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return parse_json(outcome.out, "stdout");
  };
  const Json best = answer({"--flops", "1e20"});
  const auto value = [](const Json& json, const char* what) {
    return json["optimum"][what]["value"].get<double>();
  };
  const Json by_loss = answer({"--target-loss", text(fixed(value(best, "loss"), 9))});
  EXPECT_NEAR(by_loss["flops"].get<double>() / 1e20, 1, 1e-5);
  EXPECT_NEAR(value(by_loss, "parameters") / value(best, "parameters"), 1, 1e-4);
  const Json larger = answer({"--flops", "1e20", "--parameters", "2G"});
  EXPECT_NEAR(value(larger, "tokens"), 1e20 / (6 * 2e9), 1e3);
  EXPECT_GT(larger["nats_lost"].get<double>(), 0.01);
  EXPECT_EQ(larger["asked"]["parameters"], 2e9);
  EXPECT_NEAR(value(answer({"--flops", "1e20", "--tokens", "10G"}), "parameters"), 1e20 / (6e10), 1e3);
  const Json read = answer({"--flops", "1e20", "--inference-tokens", "100G"});
  EXPECT_LT(value(read, "parameters"), value(best, "parameters"));
  EXPECT_NEAR((read["flops"].get<double>() + read["inference_flops"].get<double>()) / 1e20, 1, 1e-6);
}

TEST_F(Plan, OneOrTwoThingsAreAsked) {
  const Outcome three = plan({"--laws", laws, "--flops", "1e20", "--parameters", "1G", "--tokens", "1G"});
  EXPECT_EQ(three.status, 2);
  EXPECT_THAT(three.err, HasSubstr("--flops, --parameters, --tokens"));
  EXPECT_EQ(plan({"--laws", laws, "--flops", "1e20", "--gpu-hours", "3"}).status, 2);
  EXPECT_EQ(plan({"--laws", laws}).status, 2);
  const Outcome below = plan({"--laws", laws, "--target-loss", "1.7"});
  EXPECT_EQ(below.status, 2);
  EXPECT_THAT(below.err, HasSubstr("never falls below 1.8000"));
  EXPECT_EQ(plan({"--laws", laws, "--target-loss", "1.82"}).status, 2);
}

TEST_F(Plan, AutomaticPrecisionIsTheDevices) {
  const auto precision = [&](const char* device) {
    const Outcome outcome =
        plan({"--laws", laws, "--flops", "1e20", "--precision", "auto", "--device", device, "--json"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return parse_json(outcome.out, "plan")["config"]["train"]["precision"].get<std::string>();
  };
  EXPECT_EQ(precision("h100"), "bf16");
  EXPECT_EQ(precision("v100"), "fp32");
}

TEST_F(Plan, AStudyBeforeAnyLaw) {
  const Outcome outcome =
      run({"study", "plan", folder / "study", "--isoflop", "1e18,3e18", "--models", "6", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json json = parse_json(outcome.out, "stdout");
  EXPECT_EQ(json["runs"].size(), 8u + 2 * 7);
  EXPECT_TRUE(std::filesystem::exists(folder / ("study/" + json["runs"][0]["config"].get<std::string>())));
}

TEST_F(Plan, KnownModels) {
  const Outcome outcome = run({"assess", "--laws", laws, "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(parse_json(outcome.out, "stdout")["models"][0]["name"], "ESM-2 8M");
  EXPECT_THAT(run({"assess"}).out, AllOf(HasSubstr("xTrimoPGLM"), HasSubstr("compute optimal?")));
  const std::filesystem::path figure = folder / "models.svg";
  ASSERT_EQ(run({"assess", "--output", figure}).status, 0);
  EXPECT_THAT(read_file(figure), AllOf(HasSubstr("<svg"), HasSubstr(">ESM-2 650M</text>")));
  EXPECT_EQ(run({"assess", "--output", figure}).status, 1);  // it is there
  EXPECT_EQ(run({"assess", "--output", figure, "--force"}).status, 0);
}

TEST_F(Plan, WordsForPeople) {
  EXPECT_THAT(plan({"--laws", laws, "--flops", "1e20"}).out,
              AllOf(HasSubstr("N_opt"), HasSubstr("peak LR"), HasSubstr("warning: the law: too few seeds")));
  EXPECT_THAT(run({"study", "plan", "--isoflop", "1e18,1e19", "--no-lr-sweep"}).out,
              AllOf(HasSubstr("18 runs"), HasSubstr("Cheng")));
}

TEST_F(Plan, WrongUsageIsTwo) {
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {},
           {"--law", "chen-mlm", "--flops", "1e20"},
           {"--law", "hoffmann", "--laws", laws, "--flops", "1e20"},
           {"--laws", laws},
           {"--laws", laws, "--flops", "1e20", "--gpu-hours", "5"},
           {"--laws", laws, "--flops", "nan"},
           {"--laws", laws, "--flops", "-1"},
           {"--laws", laws, "--gpu-hours", "nan"},
           {"--laws", laws, "--gpu-hours", "1e300"},
           {"--laws", laws, "--flops", "1e20", "--lr", "nan"},
           {"--laws", laws, "--flops", "many"},
           {"--laws", laws, "--gpu-hours", "5", "--device", "abacus"},
           {"--laws", laws, "--flops", "1e20", "--approach", "1"},
           {"--laws", laws, "--flops", "1e20", "--flop-count", "hoffmann"},
           {"--laws", laws, "--flops", "1e20", "--parameter-count", "trainable"},
           {"--laws", laws, "--flops", "1e20", "--loss", "eval-mask-only"}}) {
    const Outcome outcome = plan(flags);
    EXPECT_EQ(outcome.status, 2) << outcome.out << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("error: "));
  }
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {"study"},
           {"study", "plan"},
           {"study", "plan", "--isoflop", "1e18,"},
           {"study", "plan", "--isoflop", "1e18", "--models", "2"},
           {"study", "plan", folder / "a", "--isoflop", "1e18", "--output", folder / "b"}})
    EXPECT_EQ(run(flags).status, 2);
}

// A form that plan had ends with the name of the verb that has it now, whatever flags follow.
TEST_F(Plan, FormerFormsNameTheirVerb) {
  const Outcome isoflop = plan({"--isoflop", "1e18,1e19", "--models", "6", "--no-lr-sweep"});
  EXPECT_EQ(isoflop.status, 2);
  EXPECT_THAT(isoflop.err, HasSubstr("esmscale study plan DIR --isoflop"));
  const Outcome assess = plan({"--assess"});
  EXPECT_EQ(assess.status, 2);
  EXPECT_THAT(assess.err, HasSubstr("`esmscale assess`"));
  EXPECT_THAT(run({"study", "statsu", "x"}).err, HasSubstr("did you mean 'status'"));
}

TEST_F(Plan, AFileThatIsNoLawIsOne) {
  write_file(folder / "other.json", "{\"format\": 3}");
  EXPECT_EQ(plan({"--laws", folder / "other.json", "--flops", "1e20"}).status, 1);
  EXPECT_EQ(plan({"--laws", folder / "absent.json", "--flops", "1e20"}).status, 1);
}

}  // namespace
}  // namespace esmscale::cli
