#include "cli/small_run.h"
#include "esmscale/accounting/flops.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/process/device.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <signal.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

TEST(Train, FinishesAndASecondStartPrintsTheSame) {
  const SmallRun small;
  const Json summary = json_of(small.train("run"));
  EXPECT_TRUE(summary["finished"].get<bool>());
  EXPECT_EQ(summary["run"], small.path("run"));
  EXPECT_GT(summary["step"].get<int64_t>(), 1);
  EXPECT_GT(summary["evaluation"]["standard_error"].get<double>(), 0);
  const auto bytes = read_file(run::RunFolder(small.path("run")).metrics());
  const Json again = json_of(small.train("run"));
  for (const char* key : {"step", "tokens", "flops", "evaluation", "checkpoint"})
    EXPECT_EQ(again[key], summary[key]) << key;
  EXPECT_EQ(read_file(run::RunFolder(small.path("run")).metrics()), bytes) << "nothing is trained twice";

  const Outcome shown = run(small.train("run"));
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.out, AllOf(HasSubstr("finished"), HasSubstr("holdout loss"), HasSubstr("never checked")));
}

TEST(Train, AFinishedRunsCheckpointFinishesAnotherFolder) {
  const SmallRun small;
  const Json first = json_of(small.train("run"));
  const Json second = json_of(small.train("other", {"--resume", first["checkpoint"].get<std::string>()}));
  EXPECT_EQ(second["evaluation"]["loss"], first["evaluation"]["loss"]);
  EXPECT_TRUE(fs::exists(second["checkpoint"].get<std::string>()));
}

TEST(Train, ADivergedRunIsFinishedToo) {
  const SmallRun small;
  ASSERT_EQ(run(small.train("run")).status, 0);
  const fs::path metrics = run::RunFolder(small.path("run")).metrics();
  std::vector<Json> lines = run::read_metrics(metrics);
  lines.back()["eval/loss"] = nullptr;  // as NaN is written
  std::string written;
  for (const Json& line : lines) written += to_text(line) + "\n";
  write_file(metrics, written);
  const Outcome again = run(small.train("run"));
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("perplexity nan"));
}

TEST(Train, ASignalEndsWith85AndTheNextStartResumes) {
  const SmallRun small;
  const Arguments long_run = small.train("run", {"--set", "train.epochs=200", "--set", "log.every_steps=1"});
  std::thread sender([&] {
    const fs::path metrics = run::RunFolder(small.path("run")).metrics();
    while (!fs::exists(metrics) || run::read_metrics(metrics).size() < 2)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::raise(SIGTERM);
  });
  const Outcome stopped = run(long_run + Arguments{"--json"});
  sender.join();
  ASSERT_EQ(stopped.status, 85) << stopped.err;
  const Json summary = parse_json(stopped.out, "stdout");
  EXPECT_FALSE(summary["finished"].get<bool>());
  const Json finished = json_of(long_run);
  EXPECT_TRUE(finished["finished"].get<bool>());
  EXPECT_GT(finished["step"], summary["step"]);
}

// Oracle: the tokens of the set, cropped, and the shape's own counts: N = 2·16·(2·16 + 64).
TEST(Train, DryRunPlansAndWritesNothing) {
  const SmallRun small;
  const Json document = json_of(small.train("run", {"--dry-run", "--set", "train.epochs=3"}));
  EXPECT_FALSE(fs::exists(small.path("run")));
  EXPECT_EQ(document["config"]["train"]["epochs"], 3);
  EXPECT_EQ(document["config"]["model"]["ffn"], 64) << "resolved";
  const Json& plan = document["plan"];
  int64_t tokens = 0;
  double squares = 0;
  for (const uint32_t length : small.train_set.dataset().lengths()) {
    const int64_t rows = std::min<int64_t>(length, 62) + 2;
    tokens += rows;
    squares += static_cast<double>(rows * rows);
  }
  EXPECT_EQ(plan["parameters"]["kaplan_non_embedding"], 3072);
  EXPECT_EQ(plan["tokens"], 3 * tokens);
  EXPECT_EQ(plan["flops_6nd"], 6.0 * 3072 * 3 * static_cast<double>(tokens));
  const double flops = accounting::FlopCounter(config::ModelConfig{.layers = 1, .width = 16, .heads = 2})
                           .training(3 * static_cast<double>(tokens), 3 * squares);
  EXPECT_NEAR(plan["flops"].get<double>() / flops, 1, 1e-12);
  EXPECT_GT(plan["memory_per_rank"]["total"].get<double>(), 0);
}

TEST(Train, DryRunRefusesWhatTheRunWould) {
  const SmallRun small;
  EXPECT_THAT(refusal_of(2, small.train("run", {"--dry-run", "--ranks", "900"})),
              HasSubstr("900 ranks share"));
  for (const char* flag : {"--init-from", "--branch-from", "--resume"})
    EXPECT_THAT(refusal_of(1, small.train("run", {"--dry-run", flag, "nowhere"})), HasSubstr("nowhere"));
  const Arguments cut{"--dry-run", "--set", "schedule.warmup_tokens=1G"};
  EXPECT_THAT(json_of(small.train("run", cut))["plan"]["notes"][0].get<std::string>(),
              HasSubstr("schedule.warmup_tokens = 1000000000"));
}

// A preset needs no edits and no data to be planned.
TEST(Train, DryRunWithoutData) {
  const Json plan =
      json_of({"train", "--config", "esm2_8M.json", "--dry-run", "--set", "train.max_tokens=2G"})["plan"];
  EXPECT_EQ(plan["tokens"], 2'000'000'000);
  EXPECT_EQ(plan["parameters"]["kaplan_non_embedding"], 6 * 12 * 320 * 320);
  EXPECT_EQ(plan["flops_6nd"], 6.0 * 6 * 12 * 320 * 320 * 2e9);
  EXPECT_NEAR(plan["flops"].get<double>(), 2e9 * plan["flops_per_token"].get<double>(), 1e6);
  EXPECT_TRUE(plan["sequences"].is_null());
  EXPECT_EQ(plan["steps"], std::ceil(2e9 / 524288));
  // The vendor's 312 TFLOP/s of bf16 on an A100, which `auto` takes there, and 40% of it in the plan.
  EXPECT_NEAR(plan["gpu_hours"][0]["hours"].get<double>(),
              plan["flops"].get<double>() / (312e12 * 0.4) / 3600, 1e-9);

  const Json unknown = json_of({"train", "--config", "esm2_8M.json", "--dry-run"})["plan"];
  EXPECT_TRUE(unknown["tokens"].is_null() && unknown["flops"].is_null());
  EXPECT_TRUE(unknown["gpu_hours"][1]["hours"].is_null());
  EXPECT_EQ(unknown["flops_per_token"], plan["flops_per_token"]);
  EXPECT_EQ(unknown["memory_per_rank"], plan["memory_per_rank"]);
  EXPECT_THAT(run({"train", "--config", "esm2_8M.json", "--dry-run"}).out, HasSubstr("FLOPs a token"));
}

// A preset says auto: each device has its own arithmetic, and 19.5 TFLOP/s of fp32 on an A100.
TEST(Train, DryRunSettlesThePrecision) {
  const auto planned = [](const Arguments& more) {
    Arguments all{"train", "--config", "esm2_8M.json", "--dry-run", "--set", "train.max_tokens=2G"};
    all.insert(all.end(), more.begin(), more.end());
    return json_of(all);
  };
  const auto precision = [](const Json& document) { return document["config"]["train"]["precision"]; };
  const Json cpu = planned({"--device", "cpu"}), gpu = planned({"--device", "cuda"});
  EXPECT_EQ(precision(cpu), "fp32");
  EXPECT_EQ(precision(gpu), train::has_bf16(config::DeviceKind::gpu) ? "bf16" : "fp32");
  const Json fp32 = planned({"--device", "cuda", "--set", "train.precision=fp32"});
  EXPECT_EQ(precision(fp32), "fp32");
  EXPECT_NEAR(fp32["plan"]["gpu_hours"][0]["hours"].get<double>(),
              fp32["plan"]["flops"].get<double>() / (19.5e12 * 0.4) / 3600, 1e-9);
  ::testing::internal::CaptureStderr();
  run({"train", "--config", "esm2_8M.json", "--dry-run", "--device", "cuda", "--set",
       "train.precision=fp32"});
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("bf16 was 14 times as fast"));
}

TEST(Train, ImpossibleShapesAreRefused) {
  const SmallRun small;
  const auto refused = [&](const std::string& setting) {
    return refusal_of(2, small.train("run", {"--set", setting}));
  };
  EXPECT_THAT(refused("model.heads=3"), AllOf(HasSubstr("model.heads = 3"), HasSubstr("model.width = 16")));
  EXPECT_THAT(refused("model.heads=16"), HasSubstr("odd"));
  EXPECT_THAT(refused("train.batch_tokens=32"), HasSubstr("train.batch_tokens = 32"));
  EXPECT_THAT(refused("train.pack_tokens=32"), HasSubstr("one sequence's crop"));
  EXPECT_THAT(refused("train.micro_batch_tokens=100"), HasSubstr("train.micro_batch_tokens = 100"));
  EXPECT_THAT(refused("optimizer.lrr=1"), HasSubstr("'optimizer.lr'"));
  EXPECT_FALSE(fs::exists(small.path("run"))) << "nothing half written";
}

TEST(Train, DataThatIsNone) {
  const SmallRun small;
  EXPECT_THAT(refusal_of(2, {"train", "--config", small.config(), "--output", small.path("run")}),
              AllOf(HasSubstr("data.train"), HasSubstr("--data")));
  EXPECT_THAT(refusal_of(1, small.train("run", {"--data", small.path("absent")})), HasSubstr("absent"));
  EXPECT_THAT(refusal_of(1, small.train("run", {"--holdout", small.path("absent")})), HasSubstr("absent"));
  EXPECT_FALSE(fs::exists(small.path("run")));
}

TEST(Train, OutputThatCannotBeARun) {
  const SmallRun small;
  write_file(small.path("file"), "mine");
  EXPECT_THAT(refusal_of(1, small.train("file")), HasSubstr(small.path("file")));
  EXPECT_EQ(read_file(small.path("file")), "mine");

  fs::create_directory(small.path("folder"));
  write_file(small.path("folder") + "/notes.txt", "mine");
  EXPECT_THAT(refusal_of(1, small.train("folder")), HasSubstr("something else"));
}

TEST(Train, ARunOfAnotherIdentityIsRefusedByName) {
  const SmallRun small;
  small.trained("run");
  EXPECT_THAT(refusal_of(2, small.train("run", {"--set", "train.seed=7", "--set", "optimizer.lr=0.02"})),
              AllOf(HasSubstr("train.seed: the run has 1, asked for is 7"), HasSubstr("optimizer.lr")));
  EXPECT_THAT(refusal_of(1, small.train("run", {"--resume", "never"})), HasSubstr("--output"));
  small.trained("short", {"--set", "train.max_tokens=1000"});
  EXPECT_THAT(refusal_of(2, small.train("short", {"--set", "train.max_tokens=1200"})),
              AllOf(HasSubstr("the run has 1000"), HasSubstr("--branch-from")));
  EXPECT_THAT(refusal_of(2, small.train("short", {"--set", "train.max_tokens=800"})),
              HasSubstr("change it back"));
  EXPECT_EQ(json_of(small.train("run", {"--set", "log.every_steps=3"}))["finished"], true)
      << "free to change";
}

TEST(Train, DeviceThatIsNotThere) {
  const SmallRun small;
  for (const Arguments& more : {Arguments{}, Arguments{"--dry-run"}})
    EXPECT_THAT(refusal_of(2, small.train("run", Arguments{"--device", "gpu"} + more)),
                HasSubstr("{auto,cpu,cuda}"));
#ifndef ESMSCALE_HAS_CUDA
  EXPECT_THAT(refusal_of(2, small.train("run", {"--device", "cuda"})),
              AllOf(HasSubstr("without CUDA"), HasSubstr("--device cpu")));
#endif
}

// Tens of terabytes for the plan of one batch.
TEST(Train, ABatchThatNoMemoryHolds) {
  const SmallRun small;
  EXPECT_THAT(
      refusal_of(1, small.train("run", {"--set", "train.batch_tokens=1e15"})),
      AllOf(HasSubstr("memory: out of memory"), HasSubstr("train.batch_tokens"), Not(HasSubstr("--memory"))));
}

// 200 TB of weights. The planned numbers are given all the same.
TEST(Train, AModelThatNoMemoryHolds) {
  const SmallRun small;
  const Arguments huge{"--set", "model.width=65536", "--set", "model.heads=1024",
                       "--set", "model.layers=1000"};
  EXPECT_THAT(refusal_of(1, small.train("run", huge)), HasSubstr("memory"));
  EXPECT_GT(json_of(small.train("run", huge + Arguments{"--dry-run"}))["plan"]["memory_per_rank"]["total"]
                .get<double>(),
            1e14);
}

}  // namespace
}  // namespace esmscale::cli
