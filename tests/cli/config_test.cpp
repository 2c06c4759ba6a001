// esmscale config, and how configuration errors reach the user.
#include "esmscale/config/config.h"

#include "cli/small_run.h"
#include "support/paths.h"

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Oracle: the declarations themselves.
TEST(Config, ListsEveryField) {
  config::RunConfig defaults;
  const std::vector<config::Field> all = config::fields(defaults);
  const Json entries = json_of({"config"});
  ASSERT_EQ(entries.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(entries[i]["key"], all[i].path);
    EXPECT_EQ(entries[i]["help"], all[i].help);
    EXPECT_EQ(entries[i]["identity"], all[i].is_identity);
  }
  const std::string shown = run({"config"}).out;
  for (const config::Field& field : all) EXPECT_THAT(shown, HasSubstr(field.path + " = "));
}

TEST(Config, ListsOneFieldOrAGroup) {
  const Json lr = json_of({"config", "optimizer.lr"});
  ASSERT_EQ(lr.size(), 1u);
  EXPECT_EQ(lr[0]["default"], config::OptimizerConfig().lr);
  for (const Json& entry : json_of({"config", "model.init"}))
    EXPECT_THAT(entry["key"].get<std::string>(), HasSubstr("model.init."));
  EXPECT_THAT(run({"config", "data.max_seq_len"}).out, HasSubstr("[8 … 1048576]")) << "bounds in full";
  EXPECT_THAT(run({"config", "masking"}).out, HasSubstr("[0.001 … 0.9]"));
}

TEST(Config, UnknownKeyNamesTheNearest) {
  EXPECT_THAT(refusal_of(2, {"config", "optimizer.lrr"}), HasSubstr("'optimizer.lr'"));
  EXPECT_THAT(refusal_of(2, {"config", "optimzer"}), HasSubstr("'optimizer'"));
  EXPECT_THAT(refusal_of(2, {"config", "zzzzzzzzzzzz"}), Not(HasSubstr("did you mean")));
}

TEST(Config, SchemaIsOneDocument) {
  const Json with_flag = json_of({"config", "--schema"});
  EXPECT_EQ(parse_json(run({"config", "--schema"}).out, "stdout"), with_flag);
  EXPECT_TRUE(with_flag["properties"]["optimizer"]["properties"].contains("lr"));
}

// Editors read the committed schema, which every shipped configuration names. Oracle: the declarations
// themselves.
TEST(Config, TheShippedSchemaIsCurrent) {
  const std::filesystem::path configs = source_folder() / "configs";
  EXPECT_EQ(read_file(configs / "schema" / "config.json"), run({"config", "--schema"}).out)
      << "esmscale config --schema > configs/schema/config.json";
  for (const std::filesystem::path& file : config::shipped_configs())
    EXPECT_THAT(read_file(file), HasSubstr("\"$schema\": \"schema/config.json\"")) << file;
}

TEST(Config, AllViolationsAtOnce) {
  const TemporaryFolder folder;
  write_file(folder / "wrong.json", R"({"modle": {"layers": 3}, "model": {"layers": "six", "widht": 64},
    "optimizer": {"lr": -1}, "train": {"precision": "fp4"}})");
  const std::string error = refusal_of(2, {"train", "--dry-run", "--config", folder / "wrong.json", "--set",
                                           "masking.mlm_probability=2", "--set", "train.epochs"});
  EXPECT_THAT(error, AllOf(HasSubstr("wrong.json"), HasSubstr("unknown key 'modle'"),
                           HasSubstr("model.layers is an integer"),
                           HasSubstr("'model.widht'; did you mean 'model.width'?")));
  EXPECT_THAT(error, AllOf(HasSubstr("optimizer.lr = -1"), HasSubstr("fp32, tf32, bf16, fp8"),
                           HasSubstr("masking.mlm_probability = 2"), HasSubstr("--set train.epochs")));
}

TEST(Config, FileThatIsNone) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal_of(2, {"train", "--config", "esm2_8N.json"}),
              AllOf(HasSubstr("esm2_8N.json"), HasSubstr("esm2_8M.json")));
  write_file(folder / "torn.json", R"({"model": {"layers": 3)");
  EXPECT_THAT(refusal_of(2, {"train", "--config", folder / "torn.json"}), HasSubstr("torn.json:1:"));
  write_file(folder / "comma.json", "{\"model\": {\"layers\": 3,}}\n");
  EXPECT_THAT(refusal_of(2, {"train", "--config", folder / "comma.json"}), HasSubstr("comma.json:1:"));
}

}  // namespace
}  // namespace esmscale::cli
