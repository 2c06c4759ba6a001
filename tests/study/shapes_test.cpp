#include "esmscale/study/plan/shapes.h"

#include "support/error_of.h"

#include <cmath>

#include <gmock/gmock.h>

namespace esmscale::study {
namespace {

config::ModelConfig shape(int64_t layers, int64_t width, int64_t heads) {
  config::ModelConfig model;
  model.layers = layers;
  model.width = width;
  model.heads = heads;
  return model;
}

// Oracle: ESM-2's published shapes and trainable counts with 33 tokens (science.md, section 2).
TEST(Shapes, CountsOfPublishedModels) {
  config::ModelConfig small = shape(6, 320, 20);
  small.alphabet = 33;
  EXPECT_EQ(count_as(small, laws::ParameterCount::trainable), 7512353);
  EXPECT_EQ(count_as(small, laws::ParameterCount::kaplan), 12.0 * 6 * 320 * 320);
  EXPECT_EQ(count_as(small, laws::ParameterCount::kaplan_with_head), 12.0 * 6 * 320 * 320 + 320 * 320);
}

TEST(Shapes, HeadDimensionsOfPublishedSizes) {
  EXPECT_EQ(head_dim_at(6.9e3), 8);
  EXPECT_EQ(head_dim_at(12.3e3), 16);
  EXPECT_EQ(head_dim_at(7.4e6), 16);
  EXPECT_EQ(head_dim_at(33e6), 24);
  EXPECT_EQ(head_dim_at(147e6), 32);
  EXPECT_EQ(head_dim_at(649e6), 64);
  EXPECT_EQ(head_dim_at(2.8e9), 64);
  EXPECT_EQ(head_dim_at(15.1e9), 128);
}

TEST(Shapes, PublishedSizesComeBackNearly) {
  for (const auto& [layers, width, heads] :
       {std::tuple{6, 320, 20}, {12, 480, 20}, {33, 1280, 20}, {48, 5120, 40}}) {
    const config::ModelConfig published = shape(layers, width, heads);
    const config::ModelConfig found =
        nearest_shape(count_as(published, laws::ParameterCount::kaplan), laws::ParameterCount::kaplan);
    EXPECT_EQ(shape_name(found), shape_name(published));
  }
}

// Over five decades and each count: within 8% in N (half a step of the coarsest grid), the rules kept, and
// the quick closed form of the search the same as the parameter table.
TEST(Shapes, NearestShapesKeepTheRules) {
  for (const auto& [count, name] : EnumNames<laws::ParameterCount>::table)
    for (double decade = 5; decade <= 10.2; decade += 0.1) {
      const double wanted = std::pow(10, decade);
      const config::ModelConfig found = nearest_shape(wanted, count);
      const double ratio = double(found.width) / double(found.layers);
      EXPECT_LT(std::abs(std::log(count_as(found, count) / wanted)), decade < 6 ? 0.25 : 0.08)
          << shape_name(found);
      EXPECT_GE(ratio, 20);
      EXPECT_LE(ratio, 110);
      EXPECT_EQ(found.head_dim(), head_dim_at(wanted));
      EXPECT_EQ(found.ffn, 4 * found.width);
    }
}

// The grid of a study on a CPU, each step twice the size before it.
TEST(Shapes, TinySizesHaveOneLayer) {
  std::vector<std::string> names;
  for (const double wanted : {3e3, 6e3, 12e3, 24e3, 48e3})
    names.push_back(shape_name(nearest_shape(wanted, laws::ParameterCount::kaplan)));
  EXPECT_THAT(names, testing::ElementsAre("1x16x2", "1x24x3", "1x32x2", "1x48x3", "1x64x4"));
}

TEST(Shapes, ASizeBelowAnyShapeIsAnError) {
  EXPECT_THAT(error_of([] { nearest_shape(0.5, laws::ParameterCount::trainable); }),
              testing::Not(testing::HasSubstr("no error")));
  EXPECT_THAT(error_of([] { nearest_shape(183, laws::ParameterCount::kaplan); }),
              testing::HasSubstr("give a larger budget, or a size: --parameters, or --centre for a study"));
}

}  // namespace
}  // namespace esmscale::study
