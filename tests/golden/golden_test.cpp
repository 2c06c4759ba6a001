// Ours against transformers' EsmForMaskedLM, from fixtures that scripts/make_golden.sh makes: logits, loss,
// the gradient of every parameter, ten steps of AdamW; on a GPU too where there is one.
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/text.h"
#include "esmscale/dist/gradients.h"
#include "esmscale/model/engine.h"
#include "esmscale/optim/optimizer.h"
#include "golden/fixtures.h"
#include "model/forward.h"
#include "support/temporary.h"

#include <map>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

namespace esmscale::golden {
namespace {

// The same arithmetic in fp32 with sums in another order: an error of a few 2^-24 for each of some fifty
// roundings in sequence, which add like a random walk.
constexpr double kLogits = 1e-5;
// A gradient passes the model twice, and its smallest entries are differences of large ones.
constexpr double kGradients = 1e-4;
// Ten steps: Adam divides by the root of the second moment, so entries near zero move by the full learning
// rate in a direction that rounding decides; they hardly matter to the loss.
constexpr double kLosses = 1e-4;

// An engine and its device. gpu_kernels: the fused engine's GPU kernels, on the host.
struct Side {
  const char *engine, *device;
  std::string name() const { return std::string(engine) + (device == std::string("cpu") ? "" : "_on_gpu"); }
  bool is_here() const { return device == std::string("cpu") || at::hasCUDA(); }
  at::Device place() const { return is_here() ? at::Device(device) : at::Device("cpu"); }
  bool has_gpu_kernels() const { return engine == std::string("gpu_kernels") || name() == "fused_on_gpu"; }
  std::unique_ptr<model::Engine> make(const model::Weights& weights) const {
    if (engine == std::string("gpu_kernels")) return model::make_engine_of_gpu_kernels(weights, {});
    return model::make_engine(weights, {.engine = enum_from_name<config::EngineKind>(engine, "engine")});
  }
};

constexpr Side kSides[] = {
    {"plain", "cpu"}, {"fused", "cpu"}, {"gpu_kernels", "cpu"}, {"plain", "cuda"}, {"fused", "cuda"}};
constexpr const char* kNoGpu = "this machine has no GPU";

const Json& golden() {
  static const Json all = read_json(golden_folder() / "golden.json");
  return all;
}

// "attention.self.query.weight" of every layer is one kind.
std::string kind_of(const std::string& key) {
  constexpr std::string_view layer = "esm.encoder.layer.";
  return key.starts_with(layer) ? key.substr(key.find('.', layer.size()) + 1) : key;
}

class Golden : public ::testing::TestWithParam<std::tuple<size_t, Side>> {
 protected:
  void SetUp() override {
    if (!side_.is_here()) GTEST_SKIP() << kNoGpu;
    if (side_.has_gpu_kernels() && weights_.config.ffn_dim() % 8 != 0)
      GTEST_SKIP() << "the kernels for GPUs take widths that are multiples of 8";
  }

  model::DeviceBatch batch() const {
    const data::TokenList& tokens = data::TokenList::of(weights_.config.alphabet);
    return model::to_device(model::pack(tokens, sequences_of(case_["sequences"])), weights_.config, tokens,
                            weights_.flat.device());
  }
  // Of all sequences, one after the other as in the batch.
  at::Tensor golden_logits() const {
    std::vector<at::Tensor> logits;
    for (size_t i = 0; i < case_["sequences"].size(); ++i)
      logits.push_back(golden_tensor(file_, "logits/" + std::to_string(i)));
    return at::cat(logits);
  }

  const Json& case_ = golden()["cases"][std::get<0>(GetParam())];
  const SafetensorsFile file_{golden_folder() / (case_["shape"]["name"].get<std::string>() + ".safetensors")};
  const Side side_ = std::get<1>(GetParam());
  const model::Weights weights_ = model::copy_of(weights_of(case_["shape"]), side_.place());
  const std::unique_ptr<model::Engine> engine_ = side_.make(weights_);
};

TEST_P(Golden, RotaryFrequencies) {
  const at::Tensor expected = golden_tensor(file_, "inv_freq"), ours = weights_.inv_freq.cpu();
  // A power in fp32 is good to a unit or two of 2^-24; rounded to fp16 it is the same number.
  const double tolerance = case_["shape"].value("rounded_rotary", false) ? 0 : 2.4e-7;
  EXPECT_LE(((ours - expected) / expected).abs().max().item<double>(), tolerance);
}

TEST_P(Golden, Logits) {
  const at::Tensor ours = engine_->logits(engine_->hidden(batch())).cpu(), theirs = golden_logits();
  ASSERT_EQ(ours.sizes(), theirs.sizes());
  const double error = (ours - theirs).abs().max().item<double>() / theirs.abs().max().item<double>();
  RecordProperty("difference", scientific(error, 1));
  EXPECT_LE(error, kLogits);
}

// Weights and arithmetic in bfloat16, whose epsilon is 2^-8: some fifty roundings in sequence, each relative
// to values of the size of the hidden states, add like a random walk to about seven epsilons of the largest
// logit at worst; the root mean square is held to two.
TEST_P(Golden, LogitsInSixteenBits) {
  constexpr double epsilon = 1.0 / 256;
  const at::Tensor hidden = model::forward_hidden(weights_, batch(), at::kBFloat16);
  const at::Tensor error = model::forward_head(weights_, hidden).cpu() - golden_logits();
  const at::Tensor theirs = golden_logits();
  EXPECT_LE(error.abs().max().item<double>(), 7 * epsilon * theirs.abs().max().item<double>());
  EXPECT_LE(error.square().mean().sqrt().item<double>(), 2 * epsilon * theirs.abs().max().item<double>());
  EXPECT_GT(error.abs().max().item<double>(), kLogits);  // it was not fp32
}

TEST_P(Golden, LossAndGradients) {
  dist::Gradients gradients(weights_);
  gradients.zero();
  const model::DeviceBatch all = batch();
  const double loss =
      engine_->forward_backward(all, gradients).item<double>() / static_cast<double>(all.masked);
  EXPECT_NEAR(loss, case_["loss"].get<double>(), kLogits * loss);

  std::map<std::string, double> errors, largest;
  for (size_t p = 0; p < weights_.table.size(); ++p)
    for (const interop::HuggingFaceTensor& part : interop::hugging_face_tensors(weights_.table[p])) {
      const at::Tensor theirs = golden_tensor(file_, "gradient/" + part.key);
      const at::Tensor ours =
          gradients.buffer(p).narrow(0, part.first_row, part.rows).cpu() / static_cast<double>(all.masked);
      ASSERT_EQ(ours.sizes(), theirs.sizes()) << part.key;
      double &error = errors[kind_of(part.key)], &scale = largest[kind_of(part.key)];
      error = std::max(error, (ours - theirs).abs().max().item<double>());
      scale = std::max(scale, theirs.abs().max().item<double>());
    }
  EXPECT_EQ(errors.size(), 24u);  // 16 kinds in a layer and 8 outside
  double worst = 0;
  for (const auto& [kind, error] : errors) {
    EXPECT_LE(error, kGradients * largest[kind]) << kind;
    worst = std::max(worst, error / largest[kind]);
  }
  RecordProperty("difference", scientific(worst, 1));
}

std::string case_name(const ::testing::TestParamInfo<Golden::ParamType>& one) {
  const auto& [shape, side] = one.param;
  return golden()["cases"][shape]["shape"]["name"].get<std::string>() + "_" + side.name();
}

INSTANTIATE_TEST_SUITE_P(Shapes, Golden,
                         ::testing::Combine(::testing::Range<size_t>(0, 4), ::testing::ValuesIn(kSides)),
                         case_name);

// A run of the golden steps, which can be saved and taken up again.
class GoldenRun {
 public:
  GoldenRun(const model::Weights& weights, const Side& side)
      : weights_(model::copy_of(weights, side.place())), engine_(side.make(weights_)) {}

  // The loss before the update of step s.
  double step(size_t s) {
    const data::TokenList& tokens = data::TokenList::of(weights_.config.alphabet);
    const model::DeviceBatch batch =
        model::to_device(model::pack(tokens, sequences_of(training_["batches"][s])), weights_.config, tokens,
                         weights_.flat.device());
    gradients_.zero();
    const at::Tensor loss_sum = engine_->forward_backward(batch, gradients_);
    const optim::GradientScale scale = optim::gradient_scale(
        optim::squared_norm(gradients_.updated_shard()), loss_sum,
        at::scalar_tensor(static_cast<double>(batch.masked), loss_sum.options()), training_["max_norm"]);
    adam_->step({.adam = training_["learning_rates"][s].get<double>()}, gradients_.updated_shard(), scale);
    gradient_norm = scale.norm.item<double>();
    return loss_sum.item<double>() / static_cast<double>(batch.masked);
  }

  void save(const std::filesystem::path& folder) {
    checkpoint::CheckpointInfo info;
    info.config.model = weights_.config;
    info.updates = adam_->updates();
    dist::Ranks alone;
    checkpoint::save_checkpoint(folder, info, weights_, adam_->state(), alone);
  }

  static std::unique_ptr<GoldenRun> load(const std::filesystem::path& folder, const Side& side) {
    checkpoint::Checkpoint checkpoint = checkpoint::load_checkpoint(folder);
    auto run = std::make_unique<GoldenRun>(checkpoint.weights, side);
    checkpoint::restore(*run->adam_, folder, checkpoint.info, checkpoint.weights.table);
    return run;
  }

  double gradient_norm = 0;

 private:
  static config::OptimizerConfig configuration() {
    const Json& t = golden()["training"];
    config::OptimizerConfig config;
    config.name = config::OptimizerKind::adamw;
    config.betas = {t["betas"][0], t["betas"][1]};
    config.eps = t["eps"];
    config.weight_decay = t["weight_decay"];
    return config;
  }

  const Json& training_ = golden()["training"];
  model::Weights weights_;
  std::unique_ptr<model::Engine> engine_;
  dist::Gradients gradients_{weights_};
  dist::Group alone_;
  std::unique_ptr<optim::Optimizer> adam_ =
      optim::make_optimizer(configuration(), weights_, config::ShardLayout(weights_.table, 1), 0, alone_);
};

std::unique_ptr<GoldenRun> new_run(const Side& side) {
  for (const Json& one : golden()["cases"])
    if (one["shape"]["name"] == golden()["training"]["shape"])
      return std::make_unique<GoldenRun>(weights_of(one["shape"]), side);
  throw std::logic_error("golden.json trains a shape that is none of its cases");
}

class GoldenTraining : public ::testing::TestWithParam<Side> {
 protected:
  void SetUp() override {
    if (!GetParam().is_here()) GTEST_SKIP() << kNoGpu;
  }
};

TEST_P(GoldenTraining, TenStepsOfAdamW) {
  const Json& training = golden()["training"];
  const auto run = new_run(GetParam());
  ASSERT_EQ(training["losses"].size(), 10u);
  double worst = 0;
  for (size_t s = 0; s < 10; ++s) {
    const double difference = std::abs(run->step(s) - training["losses"][s].get<double>());
    EXPECT_LE(difference, kLosses) << "step " << s;
    worst = std::max(worst, difference);
    const double norm = training["gradient_norms"][s].get<double>();
    EXPECT_NEAR(run->gradient_norm, norm, kLosses * norm) << "step " << s;
  }
  RecordProperty("difference", scientific(worst, 1));
}

// No tolerance: the next step depends on the contents of the checkpoint only.
TEST_P(GoldenTraining, ResumesFromACheckpointBitForBit) {
  const TemporaryFolder temporary;
  const auto run = new_run(GetParam());
  for (size_t s = 0; s < 5; ++s) run->step(s);
  run->save(temporary / "checkpoint");
  const auto loaded = GoldenRun::load(temporary / "checkpoint", GetParam());
  for (size_t s = 5; s < 10; ++s) EXPECT_EQ(loaded->step(s), run->step(s)) << "step " << s;
}

INSTANTIATE_TEST_SUITE_P(Engines, GoldenTraining, ::testing::ValuesIn(kSides),
                         [](const auto& one) { return one.param.name(); });

}  // namespace
}  // namespace esmscale::golden
