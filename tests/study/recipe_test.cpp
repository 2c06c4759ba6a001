// Learning rates and batches of the recipe. Oracle: its rules by hand.
#include "esmscale/study/plan/recipe.h"

#include "esmscale/study/plan/shapes.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

using testing::Contains;
using testing::HasSubstr;

// Oracle: the rules of the header by hand. D = 2e10: 2^19 tokens; N = 1e8: 5.3e-4.
TEST(Recipe, OursAtItsAnchor) {
  const Recipe recipe = recipe_for(1e8, 2e10, 1.2e19, {.max_seq_len = 1024});
  EXPECT_EQ(recipe.batch_tokens.value, 524288);
  EXPECT_NEAR(recipe.lr.value, 5.3e-4, 1e-12);
  EXPECT_EQ(recipe.warmup_tokens.value, 0.025 * 2e10);
  EXPECT_TRUE(recipe.warnings.empty());
}

TEST(Recipe, ItsBounds) {
  EXPECT_EQ(recipe_for(1e9, 1e13, 6e22, {.max_seq_len = 1024}).batch_tokens.value, 1 << 21);
  EXPECT_EQ(recipe_for(1.5e10, 1e13, 9e23, {.max_seq_len = 1024}).batch_tokens.value, 1 << 22);
  EXPECT_LE(recipe_for(1e8, 1e8, 6e16, {.max_seq_len = 1024}).batch_tokens.value, 1e8 / 2000);
  EXPECT_EQ(recipe_for(1e6, 1e5, 6e11, {.max_seq_len = 1024}).batch_tokens.value,
            2048);  // never under a pack
  EXPECT_EQ(std::fmod(recipe_for(1e8, 2e10, 1e19, {.max_seq_len = 1500}).batch_tokens.value, 3000), 0);
  EXPECT_EQ(recipe_for(6e6, 1e12, 4e19, {.max_seq_len = 1024}).lr.value, 1e-3);
  EXPECT_EQ(recipe_for(8e9, 1e12, 5e22, {.max_seq_len = 1024}).lr.value, 1.6e-4);
  EXPECT_EQ(recipe_for(1e9, 5e9, 3e19, {.max_seq_len = 1024}).warmup_tokens.value, 0.1 * 5e9);
  EXPECT_THAT(recipe_for(1.5e5, 6e6, 5e12, {.max_seq_len = 256}).warnings, Contains(HasSubstr("sweep")));
  EXPECT_EQ(recipe_for(1.5e5, 6e6, 5e12, {.max_seq_len = 256}).lr.value, 4e-3);
}

// By hand from the rule: 6e-3 at 2^20 tokens a batch, a factor of 2^0.2 for each doubling.
TEST(Recipe, MatricesHaveARateOfTheirOwn) {
  const auto recipe_at = [](double batch) {
    return recipe_for(
        1e8, 1e13, 6e21,
        {.max_seq_len = 1024, .optimizer = config::OptimizerKind::normuon, .batch_tokens = batch});
  };
  EXPECT_NEAR(recipe_at(1 << 20).matrix_lr.value, 6e-3, 1e-12);
  EXPECT_NEAR(recipe_at(1 << 19).matrix_lr.value, 6e-3 / std::pow(2, 0.2), 1e-12);
  EXPECT_EQ(recipe_at(1 << 20).lr.value, recipe_for(1e8, 1e13, 6e21, {.batch_tokens = 1 << 20}).lr.value);
  EXPECT_EQ(recipe_at(2048).matrix_lr.value, 6e-3);
  EXPECT_THAT(recipe_at(2048).warnings, Contains(HasSubstr("rate of matrices is a guess")));
  EXPECT_EQ(recipe_for(1e8, 1e13, 6e21, {}).matrix_lr.value, 0);

  const config::RunConfig config =
      planned_config({.layers = 6, .width = 320, .heads = 20}, 1e8, 1e13, 6e21,
                     {.optimizer = config::OptimizerKind::normuon, .batch_tokens = 1 << 20});
  EXPECT_EQ(config.optimizer.name, config::OptimizerKind::normuon);
  EXPECT_NEAR(config.optimizer.matrix_lr, 6e-3, 1e-12);
  EXPECT_EQ(config.optimizer.weight_decay, 0);
}

TEST(Recipe, PlannedConfigurationsAreWhole) {
  const config::RunConfig config = planned_config(nearest_shape(1e8, laws::ParameterCount::kaplan), 1e8, 2e10,
                                                  1.2e19, {.unique_tokens = 7e9});
  EXPECT_EQ(config.train.batch_tokens % config.train.pack_tokens, 0);
  EXPECT_EQ(config.train.max_tokens, 20000000000);
  EXPECT_EQ(config.train.epochs, 3);
  EXPECT_EQ(config.study.budget, 1.2e19);
  const config::RunConfig again = config::config_from_json(config::to_json(config), "plan");
  EXPECT_EQ(config::identity_hash(again), config::identity_hash(config));
}

}  // namespace
}  // namespace esmscale::study
