#include "esmscale/model/weights.h"

#include "esmscale/data/alphabet.h"
#include "esmscale/model/engine.h"
#include "support/batches.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace esmscale::model {
namespace {

Weights initialised(const config::ModelConfig& model, uint64_t seed, std::span<const int64_t> counts = {}) {
  Weights weights = make_weights(model, at::kCPU);
  initialise(weights, seed, counts);
  return weights;
}

TEST(Weights, ViewsCoverTheFlatBuffer) {
  const Weights weights = make_weights(model_of(2, 32, 2, 48), at::kCPU);
  weights.flat.fill_(0);
  for (const at::Tensor& view : weights.all) view.add_(1);
  EXPECT_TRUE(weights.flat.eq(1).all().item<bool>());
  EXPECT_EQ(weights.blocks.at(1).ffn_in.weight.size(0), 48);
  EXPECT_EQ(weights.blocks.at(1).qkv.bias.size(0), 96);
  weights.head_bias_V.fill_(5);
  EXPECT_TRUE(weights.flat.slice(0, -29).eq(5).all().item<bool>());
}

// Width 160 gives matrices of more than the 2^16 values that one stream fills, so threads share them out.
TEST(Initialise, IsAPureFunctionOfTheSeed) {
  const config::ModelConfig model = model_of(1, 160, 4);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = initialised(model, 7).flat;
  at::set_num_threads(4);
  const at::Tensor four = initialised(model, 7).flat;
  at::set_num_threads(threads);
  EXPECT_TRUE(one.equal(four));
  EXPECT_FALSE(one.equal(initialised(model, 8).flat));
}

// Oracle: the published bounds and deviations (science.md, section 2). A uniform sample of 10,000 comes
// within 1% of its bound; the deviation of 25,600 normal values has a standard error of 0.5%.
TEST(Initialise, Scales) {
  config::ModelConfig model = model_of(1, 160, 4);
  const Weights xavier = initialised(model, 1);
  const auto largest = [](const at::Tensor& x) { return x.abs().max().item<double>(); };
  const Block& block = xavier.blocks[0];
  const double bound = std::sqrt(6.0 / 320);
  EXPECT_NEAR(largest(block.qkv.weight), bound / std::sqrt(2.0), 0.01 * bound);
  EXPECT_NEAR(largest(block.out.weight), bound, 0.01 * bound);
  EXPECT_NEAR(largest(block.ffn_in.weight), std::sqrt(6.0 / 800), 1e-3);
  EXPECT_NEAR(xavier.embedding_VD.std().item<double>(), 1 / std::sqrt(160.0), 5 * 0.01 / std::sqrt(160.0));
  EXPECT_EQ(largest(block.qkv.bias), 0);
  EXPECT_TRUE(block.ffn_norm.weight_D.eq(1).all().item<bool>());

  model.init.scheme = config::InitScheme::hf;
  const Weights hf = initialised(model, 1);
  EXPECT_NEAR(hf.blocks[0].out.weight.std().item<double>(), 0.02, 5 * 0.005 * 0.02);
  EXPECT_EQ(largest(hf.embedding_VD[1]), 0);  // <pad>
}

// Oracle: ln((count + 1) / (all counts + vocabulary)).
TEST(Initialise, DecoderBiasFromFrequencies) {
  config::ModelConfig model = model_of(1, 16, 1);
  model.init.decoder_bias = config::DecoderBias::frequencies;
  std::array<int64_t, 25> counts{};
  counts[0] = 70;                      // L
  counts[1] = 1;                       // A
  counts[data::kUnknownLetter] = 999;  // X is never a target
  const Weights weights = initialised(model, 1, counts);
  const data::TokenList& tokens = data::TokenList::of(29);
  EXPECT_FLOAT_EQ(weights.head_bias_V[tokens.id("L")].item<float>(),
                  static_cast<float>(std::log(71.0 / 100)));
  EXPECT_FLOAT_EQ(weights.head_bias_V[tokens.id("A")].item<float>(), static_cast<float>(std::log(2.0 / 100)));
  EXPECT_FLOAT_EQ(weights.head_bias_V[tokens.id("X")].item<float>(), static_cast<float>(std::log(1.0 / 100)));
}

struct MeanLoss {
  double mean, standard_error;
};

// Oracle by hand: 8 letters and START and END, 2 of the 10 are <mask>.
TEST(DeviceBatchTest, TokenDropoutScalesByItsOwnRate) {
  config::ModelConfig model;
  model.token_dropout_rate = 0.25;
  const data::TokenList& tokens = data::TokenList::of(model.alphabet);
  const DeviceBatch batch = to_device(pack(tokens, {{"ACDEFGHI", "A_DEF_HI"}}), model, tokens, at::kCPU);
  const float shown = (1 - 0.8f * 0.25f) / (1 - 2.0f / 10);
  const float* factors = batch.factor_T.data_ptr<float>();
  for (int t = 0; t < 10; ++t) EXPECT_FLOAT_EQ(factors[t], t == 2 || t == 6 ? 0 : shown) << t;
}

// Mean loss over fresh models; a model's own mean is one draw, so seeds give the standard error.
MeanLoss loss_at_initialisation(const config::ModelConfig& model) {
  constexpr int models = 100;
  std::string truth(data::kLetters.substr(0, data::kStandardLetters)), shown;
  for (const char letter : truth) (shown += letter) += '_';
  const std::string doubled = [&] {
    std::string letters;
    for (const char letter : truth) (letters += letter) += letter;
    return letters;
  }();
  const data::TokenList& tokens = data::TokenList::of(model.alphabet);
  const DeviceBatch batch = to_device(pack(tokens, {{doubled, shown}}), model, tokens, at::kCPU);
  double sum = 0, squares = 0;
  for (int seed = 0; seed < models; ++seed) {
    const Weights weights = initialised(model, static_cast<uint64_t>(seed));
    CollectedGradients gradients(weights);
    const double loss = make_engine(weights, {.engine = config::EngineKind::plain})
                            ->forward_backward(batch, gradients)
                            .item<double>() /
                        static_cast<double>(batch.masked);
    sum += loss;
    squares += loss * loss;
  }
  const double mean = sum / models;
  return {mean, std::sqrt((squares / models - mean * mean) / models)};
}

// Oracle: logits that are N(0, s²) and independent of the target cost ln V + s²/2 − (e^(s²) − 1) / (2V) nats
// (the last term is the second order of E ln of the mean of V log-normal values; the next is below 0.01). The
// head's norm leaves vectors of length √d, so s = 1 for embeddings of deviation d^−½ and s = 0.02 √d for
// `hf`. The tolerance is five standard errors over seeds, and those are small enough to distinguish
// 0.5 · s² from zero.
TEST(Initialise, LossIsWhatTheInitialisationImplies) {
  config::ModelConfig model = model_of(1, 64, 4);
  const auto implied = [](double variance) {
    return std::log(29.0) + variance / 2 - (std::exp(variance) - 1) / (2 * 29);
  };
  const MeanLoss xavier = loss_at_initialisation(model);
  EXPECT_NEAR(xavier.mean, implied(1), 5 * xavier.standard_error + 0.01);
  EXPECT_LT(xavier.standard_error, 0.05);

  model.init.scheme = config::InitScheme::hf;
  const MeanLoss hf = loss_at_initialisation(model);
  EXPECT_NEAR(hf.mean, implied(0.0004 * 64), 5 * hf.standard_error + 0.001);
  EXPECT_LT(hf.standard_error, 0.01);
}

}  // namespace
}  // namespace esmscale::model
