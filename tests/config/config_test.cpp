#include "esmscale/config/config.h"

#include "esmscale/config/engine_choice.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string violations_of(const Json& document, const std::vector<std::string>& settings = {}) {
  try {
    config_from_json(document, "c.json", settings);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "none";
}

TEST(Config, JsonRoundTripKeepsEveryField) {
  RunConfig config;
  config.optimizer.lr = 0.1 + 0.2;  // not a short decimal: full precision must survive
  config.optimizer.betas = {0.8, 0.999};
  config.data.train = "some/folder";
  config.log.tensorboard = true;
  const Json document = to_json(config);
  EXPECT_EQ(to_json(config_from_json(parse_json(to_text(document), "c"), "c")), document);
  EXPECT_EQ(document.flatten().size(), fields(config).size() + 1) << "betas are two leaves, all others one";
}

TEST(Config, ListsOfTexts) {
  const std::vector<std::string> two{"a.csv", "b.csv"};
  EXPECT_EQ(config_from_json({{"eval", {{"assays", two}}}}, "c").eval.assays, two);
  const std::vector<std::string> by_comma{"eval.assays=a.csv,b.csv"},
      as_json{R"(eval.assays=["a.csv","b.csv"])"};
  EXPECT_EQ(config_from_json(Json::object(), "c", by_comma).eval.assays, two);
  EXPECT_EQ(config_from_json(Json::object(), "c", as_json).eval.assays, two);
  EXPECT_THAT(violations_of({{"eval", {{"assays", Json::array({1, 2})}}}}),
              HasSubstr("eval.assays is a list of texts, not [1,2]"));
}

TEST(Config, AGrowingBatchNeedsBothItsKeys) {
  EXPECT_THAT(violations_of(Json::object(), {"train.first_batch_tokens=65536"}), HasSubstr("given together"));
  EXPECT_THAT(violations_of(Json::object(), {"train.first_batch_tokens=100", "train.batch_warmup_tokens=1M"}),
              HasSubstr("not a multiple of train.pack_tokens"));
}

struct HomeOf {
  const void* operator()(const void* home) const { return home; }
  const void* operator()(const EnumRef& choice) const { return choice.home(); }
};

TEST(Config, FieldsAreDeclaredOnce) {
  RunConfig config;
  std::set<std::string> paths;
  std::set<const void*> homes;
  for (const Field& field : fields(config)) {
    EXPECT_TRUE(paths.insert(field.path).second) << field.path;
    EXPECT_TRUE(homes.insert(std::visit(HomeOf(), field.home)).second)
        << field.path << " shares its home with another field";
    EXPECT_FALSE(field.help.empty()) << field.path;
  }
}

TEST(Config, AllViolationsAtOnceWithTheNearestKey) {
  EXPECT_THAT(
      violations_of(
          {{"optimiser", {{"lr", 1}}}, {"model", {{"layers", "six"}, {"width", -4}}}, {"train", 7}}),
      AllOf(HasSubstr("unknown key 'optimiser'"), HasSubstr("model.layers is an integer, not \"six\""),
            HasSubstr("model.width = -4 is not between"), HasSubstr("train is a group of keys")));
  EXPECT_THAT(violations_of(Json::object(), {"optimizer.lrr=1"}), HasSubstr("did you mean 'optimizer.lr'?"));
  EXPECT_THAT(violations_of(Json::object(), {"train.epochs"}), HasSubstr("not key.path=value"));
  EXPECT_THAT(violations_of({{"schedule", {{"name", "step"}}}}), HasSubstr("exponential, constant"));
  EXPECT_THAT(violations_of({{"optimizer", {{"betas", {0.9}}}}}), HasSubstr("two numbers"));
  EXPECT_THAT(violations_of({{"log", {{"tensorboard", 1}}}}), HasSubstr("true or false"));
  EXPECT_THAT(violations_of(Json::array()), HasSubstr("JSON object"));
  EXPECT_THAT(violations_of({{"train", {{"seed", 4294967296}}}}),
              HasSubstr("train.seed = 4294967296 is not between 0 and 4294967295"));
}

// Oracle: the names of docs/configs.md, written out again.
TEST(Config, NamesOfChoicesComeFromOneTable) {
  const std::map<std::string, std::vector<std::string>> names = {
      {"train.precision", {"auto", "fp32", "tf32", "bf16", "fp8"}},
      {"train.engine", {"auto", "plain", "fused"}},
      {"train.recompute", {"none", "outputs", "blocks"}},
      {"optimizer.name", {"adam", "adamw", "muon", "normuon"}},
      {"schedule.name", {"exponential", "constant", "linear", "cosine", "wsd"}},
      {"model.init.scheme", {"xavier", "hf"}},
      {"model.init.decoder_bias", {"zeros", "frequencies"}}};
  RunConfig config;
  for (const Field& field : fields(config)) {
    const auto expected = names.find(field.path);
    if (expected == names.end()) continue;
    EXPECT_EQ(field.choices, expected->second) << field.path;
    for (const std::string& name : field.choices) {
      const RunConfig set = config_from_json(Json::object(), "c", std::vector{field.path + "=" + name});
      std::string pointer = "/" + field.path;
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      EXPECT_EQ(to_json(set)[Json::json_pointer(pointer)], name);
    }
    EXPECT_THAT(violations_of(Json::object(), {field.path + "=other"}),
                HasSubstr("is one of " + expected->second[0]));
  }
}

TEST(Config, AutomaticPrecisionFollowsTheDevice) {
  using enum Precision;
  EXPECT_EQ(precision_on(automatic, DeviceKind::gpu, true), bf16);
  EXPECT_EQ(precision_on(automatic, DeviceKind::gpu, false), fp32);
  EXPECT_EQ(precision_on(automatic, DeviceKind::cpu, true), fp32);
  for (const Precision named : {fp32, tf32, bf16})
    EXPECT_EQ(precision_on(named, DeviceKind::cpu, false), named) << "a name is what it says";
}

// Of two groups of one name the last alone would count.
TEST(Config, AKeyThatStandsTwiceIsRefused) {
  const TemporaryFolder folder;
  write_file(folder / "c.json", R"({"train": {"epochs": 2}, "model": {"layers": 1}, "train": {"seed": 7}})");
  EXPECT_THAT(error_of([&] { load_config(folder / "c.json"); }), HasSubstr("'train' twice"));
  write_file(folder / "c.json", R"({"train": {"seed": 1, "seed": 2}})");
  EXPECT_THAT(error_of([&] { load_config(folder / "c.json"); }), HasSubstr("'seed' twice"));
}

TEST(Config, Contradictions) {
  EXPECT_THAT(violations_of({{"model", {{"width", 100}, {"heads", 3}}}}), HasSubstr("does not divide"));
  EXPECT_THAT(violations_of({{"model", {{"width", 9}, {"heads", 3}}}}), HasSubstr("odd"));
  EXPECT_THAT(violations_of({{"model", {{"alphabet", 31}}}}), HasSubstr("neither 29 nor 33"));
  EXPECT_THAT(violations_of({{"optimizer", {{"weight_decay", 0.1}}}}), HasSubstr("adamw"));
  EXPECT_THAT(violations_of({{"train", {{"batch_tokens", 512}}}}),
              HasSubstr("smaller than one sequence's crop"));
  EXPECT_THAT(violations_of({{"train", {{"batch_tokens", 5000}}}}), HasSubstr("not a multiple"));
  EXPECT_THAT(violations_of({{"train", {{"micro_batch_tokens", 3000}}}}),
              HasSubstr("train.micro_batch_tokens"));
  EXPECT_THAT(violations_of({{"schedule", {{"warmup_tokens", 100}, {"decay_tokens", 100}}}}),
              HasSubstr("schedule.decay_tokens = 100 ends before the warm-up"));
  EXPECT_THAT(violations_of({{"optimizer", {{"lr", 1e-3}}}, {"schedule", {{"min_lr", 2e-3}}}}),
              HasSubstr("schedule.min_lr = 0.002 is above the peak"));
  EXPECT_THAT(violations_of({{"optimizer", {{"name", "normuon"}, {"weight_decay", 0.1}}}}),
              HasSubstr("optimizer.matrix_weight_decay"));
  EXPECT_THAT(violations_of({{"schedule", {{"name", "exponential"}, {"decay_factor", 0}}}}),
              HasSubstr("never reached by an exponential decay"));
  EXPECT_THAT(violations_of({{"parallel", {{"master_weights", "sharded"}}}}),
              AllOf(HasSubstr("parallel.zero_stage = 1 or 2"), HasSubstr("fp32 training has no bf16 copy")));
  EXPECT_THAT(violations_of({{"parallel", {{"master_weights", "sharded"}, {"zero_stage", 1}}},
                             {"train", {{"precision", "auto"}}},
                             {"log", {{"layer_norms_every", 5}}}}),
              AllOf(HasSubstr("log.layer_norms_every"), Not(HasSubstr("precision"))));
}

TEST(Config, SettingsTakeSizes) {
  const RunConfig config = config_from_json(
      Json::object(), "c",
      std::vector<std::string>{"train.max_tokens=2M", "train.batch_tokens=1MiB", "optimizer.betas=[0.5,0.6]",
                               "optimizer.lr=3e-4", "model.name=7"});
  EXPECT_EQ(config.train.max_tokens, 2000000);
  EXPECT_EQ(config.train.batch_tokens, 1 << 20);
  EXPECT_EQ(config.optimizer.betas[1], 0.6);
  EXPECT_EQ(config.optimizer.lr, 3e-4);
  EXPECT_EQ(config.model.name, "7");
}

TEST(Config, IdentityIgnoresWhatAResumeMayChange) {
  const RunConfig base;
  RunConfig free = base, bound = base;
  free.parallel.zero_stage = 2;
  free.train.micro_batch_tokens = 2048;
  free.log.every_steps = 1;
  free.data.train = "elsewhere";
  bound.optimizer.lr *= 2;
  EXPECT_EQ(identity_hash(base), identity_hash(free));
  EXPECT_NE(identity_hash(base), identity_hash(bound));
}

TEST(Config, MissingFileNamesTheShippedOnes) {
  try {
    load_config("esm2_8m.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    const std::string said = error.what();
    EXPECT_NE(said.find("esm2_35M.json"), std::string::npos) << said;
    EXPECT_NE(said.find("did you mean 'esm2_8M.json'"), std::string::npos) << said;
  }
}

TEST(Config, EveryShippedConfigurationLoadsAndResolves) {
  for (const auto& path : shipped_configs()) {
    RunConfig config = load_config(path);
    resolve(config);
    EXPECT_GT(config.train.pack_tokens, 0) << path;
  }
}

TEST(Config, ShippedScriptsAreFoundByName) {
  for (const char* name : {"train.sbatch", "study.sbatch"})
    EXPECT_TRUE(std::filesystem::is_regular_file(shipped_script(name))) << name;
  try {
    shipped_script("another.sbatch");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("another.sbatch"), HasSubstr("share/esmscale/slurm")));
  }
}

// Before these keys existed, training's masking rate was also that of evaluations and of token dropout's
// scale.
TEST(Config, RecordedConfigurationsKeepWhatTheirProgramDid) {
  const RunConfig old = recorded_config(Json{{"masking", {{"mlm_probability", 0.25}}}}, "old");
  EXPECT_EQ(old.model.token_dropout_rate, 0.25);
  EXPECT_EQ(old.eval.mlm_probability, 0.25);
  RunConfig today;
  today.masking.mlm_probability = 0.25;
  const RunConfig read = recorded_config(to_json(today), "today");
  EXPECT_EQ(read.model.token_dropout_rate, 0.15);
  EXPECT_EQ(read.eval.mlm_probability, 0.15);
  for (const char* group : {"model", "eval"})
    EXPECT_THAT(error_of([&] {
                  recorded_config(Json{{"masking", {{"mlm_probability", 0.25}}}, {group, 5}}, "old");
                }),
                HasSubstr(std::string(group) + " is a group of keys, not 5"));
}

TEST(Config, SchemaKnowsEveryField) {
  RunConfig config;
  const Json root = schema();
  for (const Field& field : fields(config)) {
    const Json* node = &root;
    std::istringstream parts(field.path);
    for (std::string part; std::getline(parts, part, '.');) {
      ASSERT_TRUE((*node)["properties"].contains(part)) << field.path;
      node = &(*node)["properties"][part];
    }
    EXPECT_TRUE(node->contains("default")) << field.path;
  }
}

}  // namespace
}  // namespace esmscale::config
