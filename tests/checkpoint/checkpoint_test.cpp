#include "esmscale/checkpoint/checkpoint.h"

#include "esmscale/core/files/files.h"
#include "esmscale/optim/optimizer.h"
#include "esmscale/run/run_folder.h"
#include "support/error_of.h"
#include "support/file_size_limit.h"
#include "support/same_state.h"
#include "support/temporary.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::checkpoint {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

CheckpointInfo some_info() {
  CheckpointInfo info;
  info.config.model.layers = 2;
  info.config.model.width = 16;
  info.config.model.heads = 2;
  config::resolve(info.config);
  info.step = 17;
  info.updates = 16;
  info.tokens = 123456789012;
  info.sequences = 300;
  info.flops = 1.0 / 3;
  info.flops_6nd = 2e20;
  info.data = {2, 99};
  info.data_order_version = 1;
  info.bad_steps = 3;
  info.bad_in_a_row = 2;
  info.dataset_hash = "abc";
  info.letter_counts[3] = 5;
  info.holdout_label = "never checked";
  info.holdout_loss = 2.5;
  info.best_holdout_loss = 2.4;
  info.best_step = 12;
  info.parent = "elsewhere";
  return info;
}

struct Saved {
  TemporaryFolder folder;
  fs::path path = folder / "step-00000017";
  CheckpointInfo info = some_info();
  model::Weights weights = model::make_weights(info.config.model, at::kCPU);
  dist::Group alone;
  std::unique_ptr<optim::Optimizer> adam = adam_of(weights);

  std::unique_ptr<optim::Optimizer> adam_of(const model::Weights& some) {
    return optim::make_optimizer(info.config.optimizer, some, config::ShardLayout(some.table, 1), 0, alone);
  }
  Saved() {
    model::initialise(weights, 3, {});
    for (const optim::StatePart& part : adam->state()) part.values.uniform_();
    save(path);
  }
  void save(const fs::path& to) const {
    dist::Ranks ranks;
    save_checkpoint(to, info, weights, adam->state(), ranks);
  }
  std::string error_after(const std::string& file, const std::function<void(std::string&)>& damage) const {
    std::string content = read_file(path / file);
    damage(content);
    std::ofstream(path / file, std::ios::binary) << content;
    return error_of([&] { load_checkpoint(path); });
  }
};

TEST(Checkpoint, RoundTripKeepsEveryBit) {
  Saved saved;
  const Checkpoint loaded = load_checkpoint(saved.path);
  EXPECT_TRUE(loaded.weights.flat.equal(saved.weights.flat));
  EXPECT_TRUE(loaded.weights.inv_freq.equal(saved.weights.inv_freq));
  const auto adam = saved.adam_of(loaded.weights);
  restore(*adam, saved.path, loaded.info, loaded.weights.table);
  optim::expect_same_state(adam->state(), saved.adam->state());
  EXPECT_EQ(adam->updates(), 16);
  const CheckpointInfo &a = loaded.info, &b = saved.info;
  EXPECT_EQ(config::to_json(a.config), config::to_json(b.config));
  EXPECT_EQ(std::tie(a.step, a.updates, a.tokens, a.sequences, a.flops, a.flops_6nd, a.bad_steps,
                     a.bad_in_a_row, a.dataset_hash),
            std::tie(b.step, b.updates, b.tokens, b.sequences, b.flops, b.flops_6nd, b.bad_steps,
                     b.bad_in_a_row, b.dataset_hash));
  EXPECT_EQ(
      std::tie(a.letter_counts, a.holdout_label, a.holdout_loss, a.best_holdout_loss, a.best_step, a.parent),
      std::tie(b.letter_counts, b.holdout_label, b.holdout_loss, b.best_holdout_loss, b.best_step, b.parent));
  EXPECT_EQ(a.data, b.data);
  EXPECT_FALSE(fs::exists(saved.path.string() + AtomicOutput::kExtension));
}

TEST(Checkpoint, WeightsOnly) {
  const TemporaryFolder folder;
  const Saved saved;
  save_checkpoint(folder / "w", saved.info, saved.weights);
  EXPECT_FALSE(load_checkpoint(folder / "w").has_moments);
  EXPECT_TRUE(load_checkpoint(saved.path).has_moments);
}

TEST(Checkpoint, DamageIsNamed) {
  EXPECT_THAT(Saved().error_after("tensors.safetensors", [](std::string& c) { c[c.size() / 2] ^= 1; }),
              HasSubstr("checksum"));
  EXPECT_THAT(Saved().error_after("tensors.safetensors", [](std::string& c) { c.resize(c.size() - 4); }),
              HasSubstr("tensors.safetensors"));
  EXPECT_THAT(Saved().error_after("checkpoint.json", [](std::string& c) { c[c.find("17")] = '2'; }),
              HasSubstr("checksum"));
  EXPECT_THAT(Saved().error_after("checkpoint.json", [](std::string& c) { c.resize(40); }),
              HasSubstr("checkpoint.json"));
}

TEST(Checkpoint, TensorsOfAnotherRunAreRefused) {
  const Saved saved, other;
  other.weights.flat.add_(1);
  const TemporaryFolder folder;
  other.save(folder / "other");
  fs::copy_file(folder / "other" / "tensors.safetensors", saved.path / "tensors.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of([&] { load_checkpoint(saved.path); }), HasSubstr("belongs to another checkpoint"));
}

TEST(Checkpoint, AFullDiskLeavesNothing) {
  const Saved saved;
  const TemporaryFolder folder;
  for (const rlim_t room : {512, 32 << 10}) {
    const FileSizeLimit limit(room);
    EXPECT_THAT(error_of([&] { saved.save(folder / "c"); }), HasSubstr("File too large"));
    EXPECT_TRUE(fs::is_empty(folder.path()));
  }
}

TEST(Checkpoint, NewerVersionIsRefused) {
  const Saved saved;
  Json json = read_checked_json(saved.path / "checkpoint.json");
  json["version"] = kCheckpointVersion + 1;
  write_checked_json(saved.path / "checkpoint.json", json);
  EXPECT_THAT(error_of([&] { load_checkpoint(saved.path); }), HasSubstr("newer esmscale"));
}

// The checksums are right, so it is the content that is refused.
TEST(Checkpoint, ContentThatDoesNotFitIsNamed) {
  const std::vector<std::pair<std::string, std::function<void(Json&)>>> wrong = {
      {"step: expected a whole number of at least 0, found -1", [](Json& j) { j["step"] = -1; }},
      {"data.next: expected a whole number", [](Json& j) { j["data"]["next"] = "far"; }},
      {"the key 'parent'", [](Json& j) { j.erase("parent"); }},
      {"letter_counts: expected an array of 25",
       [](Json& j) {
         j["letter_counts"] = {1, 2};
       }},
      {"blocks[0]: expected a text", [](Json& j) { j["blocks"][0] = 1; }},
      {"bytes: expected a whole number", [](Json& j) { j["bytes"] = -5; }},
      // 1,000 layers of width 65,536 take 200 TB: refused before memory is asked for.
      {"bytes of weights, as checkpoint.json describes them",
       [](Json& j) {
         j["config"]["model"].update({{"layers", 1000}, {"width", 65536}, {"ffn", 0}});
       }},
  };
  for (const auto& [message, edit] : wrong) {
    const Saved saved;
    Json json = read_checked_json(saved.path / "checkpoint.json");
    edit(json);
    write_checked_json(saved.path / "checkpoint.json", json);
    EXPECT_THAT(error_of([&] { load_checkpoint(saved.path); }), HasSubstr(message));
  }
}

TEST(Checkpoint, MissingOnes) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { load_checkpoint(folder.path()); }),
              HasSubstr("checkpoint.json and tensors.safetensors"));
  EXPECT_THAT(error_of([&] { resolve_checkpoint(folder.path()); }), HasSubstr("neither"));
  EXPECT_THAT(error_of([&] { resolve_checkpoint(folder / "nothing"); }), HasSubstr("no such folder"));
}

TEST(Checkpoint, RunFolderMeansItsNewest) {
  const TemporaryFolder folder;
  const Saved saved;
  const run::RunFolder run(folder.path());
  for (const int64_t step : {5, 20, 10}) {
    fs::create_directories(run.checkpoints());
    save_checkpoint(run.checkpoint(step), saved.info, saved.weights);
  }
  EXPECT_EQ(resolve_checkpoint(folder.path()), run.checkpoint(20));
}

// A run at work removes its checkpoints while they are read: the newest that is there by then is read.
TEST(Checkpoint, OneThatIsRemovedMeanwhileIsFollowedByTheNext) {
  const TemporaryFolder folder;
  const Saved saved;
  const run::RunFolder run(folder.path());
  fs::create_directories(run.checkpoints());
  for (const int64_t step : {5, 10}) save_checkpoint(run.checkpoint(step), saved.info, saved.weights);
  std::vector<fs::path> tried;
  const auto read = [&](const fs::path& found) {
    tried.push_back(found);
    if (tried.size() == 1) {
      save_checkpoint(run.checkpoint(20), saved.info, saved.weights);
      fs::remove_all(found);
    }
    return load_checkpoint(found).info.step;
  };
  EXPECT_EQ(read_resolved(folder.path(), read), saved.info.step);
  EXPECT_EQ(tried, (std::vector<fs::path>{run.checkpoint(10), run.checkpoint(20)}));
  // Damage is no removal.
  fs::resize_file(run.checkpoint(20) / "tensors.safetensors", 100);
  EXPECT_THAT(error_of([&] { read_resolved(folder.path(), read); }), HasSubstr("100"));
  for (const int64_t step : {5, 20}) fs::remove_all(run.checkpoint(step));
  EXPECT_THAT(error_of([&] { read_resolved(folder.path(), read); }), HasSubstr("neither"));
}

}  // namespace
}  // namespace esmscale::checkpoint
