// Ready layouts. Oracles: values taken by hand from the base's, and every run's configuration loads.
#include "esmscale/study/arms/layouts.h"

#include "esmscale/config/config.h"
#include "esmscale/core/text.h"
#include "support/error_of.h"
#include "support/protein_set.h"
#include "support/temporary.h"

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> set_of(const LayoutArms& arms, const std::string& key) {
  for (const Factor& factor : arms.factors)
    if (factor.key == key) return factor.values;
  return {};
}

TEST(Layouts, TakeTheBasesValuesFirst) {
  config::RunConfig base = config::load_config("quickstart");
  base.train.batch_tokens = 4 * base.train.pack_tokens;
  const int64_t pack = base.train.pack_tokens;
  EXPECT_THAT(set_of(arms_of_layout("batch", base, {}), "train.batch_tokens"),
              ElementsAre(std::to_string(4 * pack), std::to_string(2 * pack), std::to_string(8 * pack),
                          std::to_string(16 * pack)));
  base.train.batch_tokens = pack;
  EXPECT_THAT(set_of(arms_of_layout("batch", base, {}), "train.batch_tokens"),
              ElementsAre(std::to_string(pack), std::to_string(2 * pack), std::to_string(4 * pack)));
  base.optimizer.lr = 0.004;
  base.optimizer.name = config::OptimizerKind::adam;
  const LayoutArms rates = arms_of_layout("lr", base, {});
  EXPECT_THAT(set_of(rates, "optimizer.lr"), ElementsAre("0.004", "0.001", "0.002", "0.008", "0.016"));
  EXPECT_TRUE(rates.factors[0].with.empty());
  base.optimizer.name = config::OptimizerKind::muon;
  base.optimizer.matrix_lr = 0.02;
  EXPECT_THAT(arms_of_layout("lr", base, {}).factors[0].with,
              ElementsAre("optimizer.matrix_lr=0.02", "optimizer.matrix_lr=0.005", "optimizer.matrix_lr=0.01",
                          "optimizer.matrix_lr=0.04", "optimizer.matrix_lr=0.08"));
}

TEST(Layouts, OfEverySortAreRunsThatAConfigurationCanHave) {
  const data::ProteinSet set(data::ProteinSet::random(200, 60)), smaller(data::ProteinSet::random(150, 60));
  for (const char* base : {"quickstart", "esm2_8M"})
    for (const Layout& layout : layouts()) {
      const TemporaryFolder temporary;
      config::RunConfig config = config::load_config(base);
      config.train.max_tokens = 4000;
      ArmGrid grid{.seeds = 1, .data = set.folder()};
      if (layout.name == std::string_view("data"))
        grid.factors = {
            factor_of(text("data.train=", set.folder().string(), ",", smaller.folder().string()))};
      std::vector<std::string> settings;
      apply_layout(layout.name, config, settings, grid);
      const std::filesystem::path file = temporary / "base.json";
      write_file(file, esmscale::to_text(config::to_json(config)));
      write_arms(temporary / "study", {.base = config::load_config(file, settings), .grid = grid});
      size_t runs = 1;
      for (const Factor& factor : grid.factors) runs *= factor.values.size();
      EXPECT_EQ(read_study(temporary / "study").runs.size(), runs) << base << ", " << layout.name;
    }
}

// All tokens of fresh data, then the same number from half, a quarter, … of the sequences; and half and a
// quarter of the tokens, all fresh.
TEST(Layouts, EpochsHaveEqualTokens) {
  const data::ProteinSet set(std::vector<std::string>(64, std::string(98, 'A')));  // 100 tokens each
  config::RunConfig base = config::load_config("quickstart");
  base.train.max_tokens = 3200;
  const LayoutArms arms = arms_of_layout("epochs", base, {.data = set.folder()});
  EXPECT_THAT(set_of(arms, "data.sequences"), ElementsAre("32", "16", "8", "4", "2", "32", "32"));
  EXPECT_THAT(arms.settings, ElementsAre("train.epochs=32"));
  EXPECT_EQ(arms.factors[0].with[4], "train.max_tokens=3200");
  EXPECT_EQ(arms.factors[0].with[5], "train.max_tokens=1600");
  EXPECT_EQ(arms.factors[0].with[6], "train.max_tokens=800");
  base.train.max_tokens = 1000;
  EXPECT_THAT(error_of([&] { arms_of_layout("epochs", base, {.data = set.folder()}); }),
              HasSubstr("16 epochs"));
  EXPECT_THAT(error_of([&] { arms_of_layout("epochs", base, {}); }), HasSubstr("--data"));
}

// 40 sequences of 100 tokens and 64 of 50: 40 of each, and the tokens of one epoch of the shorter ones.
TEST(Layouts, TrainingSetsAreComparedAtEqualSequencesAndTokens) {
  const data::ProteinSet few(std::vector<std::string>(40, std::string(98, 'A')));
  const data::ProteinSet many(std::vector<std::string>(64, std::string(48, 'A')));
  config::RunConfig base = config::load_config("quickstart");
  base.train.max_tokens = 0;
  ArmGrid grid{
      .factors = {factor_of(text("data.train=", few.folder().string(), ",", many.folder().string()))}};
  EXPECT_THAT(arms_of_layout("data", base, grid).settings,
              ElementsAre("data.sequences=40", "train.max_tokens=2000", "train.epochs=2"));
  base.train.max_tokens = 5000;
  EXPECT_THAT(arms_of_layout("data", base, grid).settings,
              ElementsAre("data.sequences=40", "train.max_tokens=5000", "train.epochs=4"));
  grid.factors.clear();
  EXPECT_THAT(error_of([&] { arms_of_layout("data", base, grid); }), HasSubstr("--vary data.train=DIR,DIR"));
}

TEST(Layouts, UnknownNamesAreAnsweredWithTheNearest) {
  EXPECT_THAT(error_of([] { arms_of_layout("schedule", config::load_config("quickstart"), {}); }),
              AllOf(HasSubstr("did you mean 'schedules'?"), HasSubstr("epochs")));
}

}  // namespace
}  // namespace esmscale::study
