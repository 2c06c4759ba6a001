// Oracle: what two steps of a known run consist of.
#include "esmscale/core/stop_signal.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/train/trainer.h"
#include "support/protein_set.h"
#include "support/temporary.h"

#include <map>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

namespace esmscale::train {
namespace {

struct Bench {
  data::ProteinSet train{data::ProteinSet::random(160, 60)};
  TemporaryFolder folder;

  // One micro-batch a step, about ten steps.
  TrainOptions options(const std::string& run, const std::string& engine, int64_t profile_steps) const {
    config::RunConfig c;
    c.model.layers = 2;
    c.model.width = 16;
    c.model.heads = 2;
    c.data = {.train = train.folder(), .holdout = {}, .sequences = 0, .max_seq_len = 128};
    c.train.batch_tokens = 1024;
    c.train.engine = enum_from_name<config::EngineKind>(engine, "engine");
    c.log.every_steps = 1;
    c.checkpoint.every_minutes = 0;
    config::resolve(c);
    return {.config = c, .run = folder / run, .device = DeviceChoice::cpu, .profile_steps = profile_steps};
  }
};

struct Interval {
  double begin, end;  // microseconds
};

// The program's own spans, by name, in time order.
std::map<std::string, std::vector<Interval>> spans_of(const std::filesystem::path& trace) {
  std::map<std::string, std::vector<Interval>> spans;
  const Json read = read_json(trace);
  for (const Json& event : read.at("traceEvents"))
    if (event.value("cat", "") == "user_annotation" && event.value("ph", "") == "X")
      spans[event.at("name").get<std::string>()].push_back(
          {event.at("ts").get<double>(), event.at("ts").get<double>() + event.at("dur").get<double>()});
  for (auto& [name, intervals] : spans)
    std::sort(intervals.begin(), intervals.end(), [](auto& a, auto& b) { return a.begin < b.begin; });
  return spans;
}

class ProfileTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ProfileTest, ShowsThePhasesOfEachStepInOrder) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("run", GetParam(), 2)).run(), 0);
  auto spans = spans_of(bench.folder / "run" / "trace.json");
  for (const char* phase : {"wait for data", "forward", "backward", "reduce", "optimizer"})
    ASSERT_EQ(spans[phase].size(), 2u) << phase;
  for (size_t step = 0; step < 2; ++step) {
    EXPECT_LE(spans["wait for data"][step].end, spans["forward"][step].begin);
    EXPECT_LE(spans["forward"][step].end, spans["backward"][step].begin);
    EXPECT_LE(spans["backward"][step].end, spans["reduce"][step].begin);
    EXPECT_LE(spans["reduce"][step].end, spans["optimizer"][step].begin);
  }
  EXPECT_LE(spans["optimizer"][0].end, spans["wait for data"][1].begin);
}

INSTANTIATE_TEST_SUITE_P(Engines, ProfileTest, ::testing::Values("plain", "fused"),
                         [](const auto& engine) { return std::string(engine.param); });

TEST(Profile, AShortRunGivesWhatItHas) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("run", "fused", 1000)).run(), 0);
  EXPECT_GT(spans_of(bench.folder / "run" / "trace.json")["optimizer"].size(), 3u);
}

TEST(Profile, AStoppedRunGivesWhatItHas) {
  const Bench bench;
  TrainOptions options = bench.options("run", "fused", 1000);
  options.config.train.epochs = 100;
  const run::RunFolder run(options.run);
  std::thread sender([&] {
    while (!std::filesystem::exists(run.metrics()) || run::read_metrics(run.metrics()).size() < 3)
      std::this_thread::yield();
    ::raise(SIGTERM);
  });
  EXPECT_EQ(Trainer(options).run(), kStoppedBySignal);
  sender.join();
  EXPECT_GE(spans_of(run.trace(0))["optimizer"].size(), 1u);
}

TEST(Profile, NobodyAskedNothingIsWritten) {
  const Bench bench;
  ASSERT_EQ(Trainer(bench.options("run", "fused", 0)).run(), 0);
  EXPECT_FALSE(std::filesystem::exists(bench.folder / "run" / "trace.json"));
}

}  // namespace
}  // namespace esmscale::train
