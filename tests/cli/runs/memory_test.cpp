// What a run says about its memory.
#include "cli/small_run.h"
#include "esmscale/train/process/host_memory.h"

#include <gtest/gtest.h>

namespace esmscale::cli {
namespace {

struct Shape {
  int layers, width, heads, rows;
  const char* engine;
  const char* optimizer = "adam";
};

// Oracle: the highest sum of LibTorch's own allocations while training. Within 15%, the bound that users are
// promised. The shapes are wide enough that what is not counted (loss, scalars, indices) is small beside the
// rest.
TEST(Memory, MeasuredPeakIsWithin15PercentOfThePrediction) {
  const SmallRun small;
  for (const Shape& shape :
       {Shape{2, 128, 8, 2048, "fused"}, Shape{6, 64, 4, 2048, "fused"}, Shape{1, 256, 4, 512, "fused"},
        Shape{2, 128, 8, 2048, "plain"}, Shape{6, 64, 4, 2048, "plain"},
        Shape{2, 128, 8, 2048, "fused", "normuon"}, Shape{1, 256, 4, 256, "fused", "muon"}}) {
    const auto set = [](const std::string& key, auto value) {
      std::ostringstream setting;
      setting << key << "=" << value;
      return Arguments{"--set", setting.str()};
    };
    train::reset_peak_host_tensor_bytes();
    const std::string name =
        shape.engine + std::to_string(shape.layers) + "x" + std::to_string(shape.width) + shape.optimizer;
    const Json summary =
        json_of(small.train(name) + set("model.layers", shape.layers) + set("model.width", shape.width) +
                set("model.heads", shape.heads) + set("train.micro_batch_tokens", shape.rows) +
                set("train.batch_tokens", shape.rows) + set("train.engine", shape.engine));
    const double predicted = summary["memory_predicted"].get<double>();
    EXPECT_NEAR(summary["memory_tensors_peak"].get<double>() / predicted, 1, 0.15) << name;
  }
}

}  // namespace
}  // namespace esmscale::cli
