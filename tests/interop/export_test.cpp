// Hugging Face folders out. That transformers itself loads them is tests/golden's to show.
#include "esmscale/model/engine.h"
#include "support/batches.h"
#include "support/error_of.h"
#include "support/folders.h"
#include "support/temporary.h"

#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::interop {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<std::string> names_of(const config::Parameter& parameter) {
  std::vector<std::string> names;
  for (const HuggingFaceTensor& tensor : hugging_face_tensors(parameter)) names.push_back(tensor.key);
  return names;
}

// Oracle: the keys that transformers 4.57.6 saves for an EsmForMaskedLM of one layer.
TEST(Names, AreThoseOfTransformers) {
  std::vector<std::string> names;
  for (const config::Parameter& parameter : config::parameter_table(model::model_of(1, 16, 2)))
    for (const std::string& name : names_of(parameter)) names.push_back(name);
  std::vector<std::string> expected{"esm.embeddings.word_embeddings.weight", "lm_head.bias"};
  for (const std::string layer :
       {"esm.encoder.emb_layer_norm_after", "esm.encoder.layer.0.LayerNorm",
        "esm.encoder.layer.0.attention.LayerNorm", "esm.encoder.layer.0.attention.output.dense",
        "esm.encoder.layer.0.attention.self.key", "esm.encoder.layer.0.attention.self.query",
        "esm.encoder.layer.0.attention.self.value", "esm.encoder.layer.0.intermediate.dense",
        "esm.encoder.layer.0.output.dense", "lm_head.dense", "lm_head.layer_norm"})
    for (const char* what : {".weight", ".bias"}) expected.push_back(layer + what);
  EXPECT_THAT(names, ::testing::UnorderedElementsAreArray(expected));
}

TEST(Names, FusedRowsAreQueryKeyValue) {
  const config::Parameter qkv = config::parameter_table(model::model_of(1, 16, 2))[3];
  ASSERT_EQ(qkv.name, "blocks.0.qkv.weight");
  const auto parts = hugging_face_tensors(qkv);
  ASSERT_EQ(parts.size(), 3u);
  const std::vector<std::string> order{"query", "key", "value"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(parts[i].key, HasSubstr("self." + order[i] + ".weight"));
    EXPECT_EQ(parts[i].first_row, static_cast<int64_t>(16 * i));
    EXPECT_EQ(parts[i].rows, 16);
  }
}

class Export : public ::testing::Test {
 protected:
  Export() {
    model_.alphabet = 29;
    weights_ = model::random_weights(model_, 4);
    info_.config.model = model_;
    info_.config.data.max_seq_len = 512;
  }
  TemporaryFolder temporary_;
  config::ModelConfig model_ = model::model_of(2, 32, 2, 48);
  model::Weights weights_;
  checkpoint::CheckpointInfo info_;
};

TEST_F(Export, TokensThatTheModelLacks) {
  export_hugging_face(info_, weights_, temporary_ / "33", 33);
  const Tensors tensors = read_tensors(temporary_ / "33" / "model.safetensors");
  const at::Tensor &embedding = tensors.at("esm.embeddings.word_embeddings.weight"),
                   &bias = tensors.at("lm_head.bias");
  const data::TokenList &ours = data::TokenList::of(29), &official = data::TokenList::of(33);
  for (const std::string& name : official.names()) {
    const int64_t row = official.id(name), own = ours.id(name);
    EXPECT_TRUE(embedding[row].equal(own < 0 ? embedding[row] * 0 : weights_.embedding_VD[own])) << name;
    EXPECT_EQ(bias[row].item<float>(), own < 0 ? -1e4f : weights_.head_bias_V[own].item<float>()) << name;
  }
}

// Oracle: e^(−10⁴ + x) is 0 in fp32, so the sum of exponentials is that over 29: equal to the rounding of a
// sum in another order.
TEST_F(Export, SoftmaxOver33IsThatOver29) {
  export_hugging_face(info_, weights_, temporary_ / "33", 33);
  const model::Weights wide = import_hugging_face(temporary_ / "33").weights;
  const auto log_softmax = [](const model::Weights& weights) {
    const data::TokenList& tokens = data::TokenList::of(weights.config.alphabet);
    const auto engine = model::make_engine(weights, {});
    const model::DeviceBatch batch =
        model::to_device(model::pack(tokens, model::mixed_sequences()), weights.config, tokens, at::kCPU);
    return engine->logits(engine->hidden(batch)).log_softmax(-1);
  };
  const at::Tensor narrow_RV = log_softmax(weights_), wide_RV = log_softmax(wide);
  for (const std::string& name : data::TokenList::of(29).names()) {
    const at::Tensor a = narrow_RV.select(1, data::TokenList::of(29).id(name)),
                     b = wide_RV.select(1, data::TokenList::of(33).id(name));
    EXPECT_LT((a - b).abs().max().item<double>(), 2e-6) << name;
  }
  EXPECT_EQ(wide_RV.select(1, data::TokenList::of(33).id("<unk>")).exp().max().item<double>(), 0);
}

TEST_F(Export, TwentyNineTokensAsTheyAre) {
  export_hugging_face(info_, weights_, temporary_ / "29", 29);
  const std::filesystem::path folder = temporary_ / "29";
  EXPECT_EQ(read_file(folder / "vocab.txt"), join(data::TokenList::of(29).names(), "\n"));
  EXPECT_EQ(read_json(folder / "special_tokens_map.json")["unk_token"], "X");
  EXPECT_EQ(read_json(folder / "tokenizer_config.json")["tokenizer_class"], "EsmTokenizer");
  const Json config = read_json(folder / "config.json");
  EXPECT_EQ(config["vocab_size"], 29);
  EXPECT_EQ(config["mask_token_id"], 28);
  EXPECT_EQ(config["max_position_embeddings"], 514);
  EXPECT_TRUE(import_hugging_face(folder).weights.flat.equal(weights_.flat));
}

TEST_F(Export, ContactHeadIsGivenBackOrZero) {
  export_hugging_face(info_, weights_, temporary_ / "first", 33);
  change_tensors(temporary_ / "first", [](Tensors& tensors) {
    const at::Tensor weight = tensors.at("esm.contact_head.regression.weight");
    EXPECT_EQ(weight.sizes(), (std::vector<int64_t>{1, 4}));
    EXPECT_EQ(weight.abs().max().item<float>(), 0);
    weight.copy_(at::full({1, 4}, 1.0f / 3));
    tensors.at("esm.contact_head.regression.bias").fill_(-2.7f);
  });
  const checkpoint::Checkpoint checkpoint = import_hugging_face(temporary_ / "first");
  export_hugging_face(checkpoint.info, checkpoint.weights, temporary_ / "second", 33);
  const Tensors tensors = read_tensors(temporary_ / "second" / "model.safetensors");
  EXPECT_TRUE(tensors.at("esm.contact_head.regression.weight").eq(1.0f / 3).all().item<bool>());
  EXPECT_EQ(tensors.at("esm.contact_head.regression.bias").item<float>(), -2.7f);
}

TEST_F(Export, RotaryFrequenciesAreThoseInUse) {
  weights_.inv_freq.fill_(0.125);
  export_hugging_face(info_, weights_, temporary_ / "33", 33);
  EXPECT_TRUE(import_hugging_face(temporary_ / "33").weights.inv_freq.eq(0.125).all().item<bool>());
}

TEST_F(Export, LayerNormEpsIsTheModels) {
  info_.config.model.layer_norm_eps = weights_.config.layer_norm_eps = 1e-12;
  export_hugging_face(info_, weights_, temporary_ / "33", 33);
  EXPECT_EQ(import_hugging_face(temporary_ / "33").weights.config.layer_norm_eps, 1e-12);
}

TEST_F(Export, OtherMaskingProbabilityIsSaid) {
  info_.config.model.token_dropout_rate = weights_.config.token_dropout_rate = 0.3;
  ::testing::internal::CaptureStderr();
  export_hugging_face(info_, weights_, temporary_ / "warned", 33);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), AllOf(HasSubstr("0.3"), HasSubstr("0.15")));
  weights_.config.token_dropout = info_.config.model.token_dropout = false;
  ::testing::internal::CaptureStderr();
  export_hugging_face(info_, weights_, temporary_ / "silent", 33);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(Export, RefusesWhatItCannotHonour) {
  const model::Weights official = write_folder(temporary_ / "official", 33);
  EXPECT_THAT(error_of([&] { export_hugging_face(info_, official, temporary_ / "29", 29); }),
              HasSubstr("--alphabet"));
  EXPECT_THAT(error_of([&] { export_hugging_face(info_, weights_, temporary_ / "official", 33); }),
              HasSubstr("absent or empty"));
  EXPECT_FALSE(std::filesystem::exists(temporary_ / "29"));
}

}  // namespace
}  // namespace esmscale::interop
