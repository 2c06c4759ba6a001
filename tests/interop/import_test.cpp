// Hugging Face folders that are read.
#include "interop/import_fixture.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

namespace esmscale::interop {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST_F(Import, GivesBackWhatWasExported) {
  const checkpoint::Checkpoint checkpoint = import_hugging_face(folder_);
  EXPECT_TRUE(checkpoint.weights.flat.equal(weights_.flat));
  EXPECT_TRUE(checkpoint.weights.inv_freq.equal(weights_.inv_freq));
  const config::ModelConfig& model = checkpoint.info.config.model;
  EXPECT_EQ(model.name, "hf");
  EXPECT_EQ(model.layers, 2);
  EXPECT_EQ(model.ffn_dim(), 48);
  EXPECT_EQ(model.alphabet, 33);
  EXPECT_TRUE(model.token_dropout);
  EXPECT_EQ(checkpoint.info.config.data.max_seq_len, 1024);
  EXPECT_EQ(read_hugging_face_info(folder_).config.model.width, 32);
}

// Any length of crop must give a configuration that a checkpoint can hold.
TEST_F(Import, ConfigurationHoldsTogether) {
  change_config(folder_, [](Json& config) { config["max_position_embeddings"] = 101; });
  const config::RunConfig config = import_hugging_face(folder_).info.config;
  EXPECT_EQ(config.data.max_seq_len, 99);
  EXPECT_NO_THROW(config::config_from_json(config::to_json(config), "imported"));
}

TEST_F(Import, SixteenBitFilesBecomeFloats) {
  const at::Tensor original = weights_.blocks[1].out.weight;
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    write_folder(temporary_ / dtype_name(type), 33);
    change_tensors(temporary_ / dtype_name(type), [&](Tensors& tensors) {
      for (auto& [name, tensor] : tensors) tensor = tensor.to(type);
    });
    const checkpoint::Checkpoint checkpoint = import_hugging_face(temporary_ / dtype_name(type));
    EXPECT_TRUE(checkpoint.weights.blocks[1].out.weight.equal(original.to(type).to(at::kFloat)));
    EXPECT_TRUE(checkpoint.weights.inv_freq.equal(weights_.inv_freq.to(type).to(at::kFloat)));
  }
}

TEST_F(Import, RowsGoByTokenName) {
  const data::TokenList& tokens = data::TokenList::of(33);
  std::vector<std::string> reversed(tokens.names().rbegin(), tokens.names().rend());
  write_file(folder_ / "vocab.txt", join(reversed, "\r\n") + "\n");
  change_config(folder_, [](Json& config) {
    config["mask_token_id"] = 0;
    config["pad_token_id"] = 31;
  });
  change_tensors(folder_, [](Tensors& tensors) {
    for (const char* key : {"esm.embeddings.word_embeddings.weight", "lm_head.bias"})
      tensors[key] = tensors[key].flip(0);
  });
  EXPECT_TRUE(import_hugging_face(folder_).weights.flat.equal(weights_.flat));
}

TEST_F(Import, TheTwentyNineTokens) {
  const model::Weights weights = write_folder(temporary_ / "29", 29);
  EXPECT_TRUE(import_hugging_face(temporary_ / "29").weights.flat.equal(weights.flat));
}

TEST_F(Import, WithoutVocabularyTheOfficialOrderIsTaken) {
  std::filesystem::remove(folder_ / "vocab.txt");
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(import_hugging_face(folder_).weights.flat.equal(weights_.flat));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("official order"));
  write_folder(temporary_ / "29", 29);
  std::filesystem::remove(temporary_ / "29" / "vocab.txt");
  EXPECT_THAT(error_of([&] { import_hugging_face(temporary_ / "29"); }), HasSubstr("vocab.txt"));
}

// transformers fills absent keys with BERT's values, which are not ESM-2's.
TEST_F(Import, AbsentSettingsMeanWhatTheyMeanToTransformers) {
  EXPECT_THAT(
      error_after_config([](Json& config) {
        config.erase("position_embedding_type");
        config.erase("layer_norm_eps");
        config.erase("token_dropout");
      }),
      AllOf(HasSubstr("absolute"), Not(HasSubstr("layer_norm_eps")), Not(HasSubstr("token_dropout"))));
  change_config(folder_, [](Json& config) { config["position_embedding_type"] = "rotary"; });
  const checkpoint::Checkpoint imported = import_hugging_face(folder_);
  EXPECT_FALSE(imported.weights.config.token_dropout);
  EXPECT_EQ(imported.weights.config.layer_norm_eps, 1e-12);
}

TEST_F(Import, PrefixesOfCompiledAndParallelModelsAreReadPast) {
  for (const std::string prefix :
       {"_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "_orig_mod._orig_mod."}) {
    write_folder(temporary_ / prefix, 33);
    change_tensors(temporary_ / prefix, [&](Tensors& tensors) {
      Tensors renamed;
      for (const auto& [name, tensor] : tensors) renamed[prefix + name] = tensor;
      tensors = std::move(renamed);
    });
    EXPECT_TRUE(import_hugging_face(temporary_ / prefix).weights.flat.equal(weights_.flat)) << prefix;
  }
  EXPECT_THAT(
      error_after_tensors([](Tensors& tensors) { tensors["module.lm_head.bias"] = tensors["lm_head.bias"]; }),
      HasSubstr("a second lm_head.bias"));
}

TEST_F(Import, WhatTakesNoPartIsReadPast) {
  change_tensors(folder_, [](Tensors& tensors) {
    tensors["esm.embeddings.position_embeddings.weight"] = at::zeros({1026, 32});
    tensors["esm.embeddings.position_ids"] = at::zeros({1, 1026});
    tensors["esm.pooler.dense.weight"] = at::zeros({32, 32});
    tensors["lm_head.decoder.weight"] = tensors["esm.embeddings.word_embeddings.weight"];
  });
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(import_hugging_face(folder_).weights.flat.equal(weights_.flat));
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, AllOf(HasSubstr("esm.pooler.dense.weight"), Not(HasSubstr("position"))));
}

TEST_F(Import, RotaryFrequenciesAreReadAndKept) {
  const at::Tensor rounded = weights_.inv_freq.to(at::kHalf).to(at::kFloat);
  change_tensors(folder_, [&](Tensors& tensors) {
    for (const char* layer : {"0.", "1."})
      tensors["esm.encoder.layer." + std::string(layer) + kInvFreq] = rounded;
  });
  EXPECT_TRUE(import_hugging_face(folder_).weights.inv_freq.equal(rounded));
  EXPECT_FALSE(rounded.equal(weights_.inv_freq));
}

// transformers 5 keeps one for all layers, under names of its own, and norms under those of TensorFlow.
TEST_F(Import, NamesOfTransformers5) {
  for (const std::string& name :
       {std::string("esm.rotary_embeddings.inv_freq"), "esm.encoder.layer.*." + kInvFreq}) {
    const std::filesystem::path folder = temporary_ / std::to_string(name.size());
    write_folder(folder, 33);
    change_tensors(folder, [&](Tensors& tensors) {
      for (const char* layer : {"0.", "1."}) {
        const std::string prefix = "esm.encoder.layer." + std::string(layer);
        tensors.erase(prefix + kInvFreq);
        for (const std::string norm : {"LayerNorm.", "attention.LayerNorm."}) {
          tensors[prefix + norm + "gamma"] = tensors.extract(prefix + norm + "weight").mapped();
          tensors[prefix + norm + "beta"] = tensors.extract(prefix + norm + "bias").mapped();
        }
      }
      tensors[name] = at::full({8}, 0.25);
    });
    const checkpoint::Checkpoint checkpoint = import_hugging_face(folder);
    EXPECT_TRUE(checkpoint.weights.flat.equal(weights_.flat)) << name;
    EXPECT_TRUE(checkpoint.weights.inv_freq.eq(0.25).all().item<bool>()) << name;
  }
}

TEST_F(Import, WithoutRotaryFrequenciesTheFormulaHolds) {
  change_tensors(folder_, [](Tensors& tensors) {
    for (const char* layer : {"0.", "1."})
      tensors.erase("esm.encoder.layer." + std::string(layer) + kInvFreq);
  });
  EXPECT_TRUE(import_hugging_face(folder_).weights.inv_freq.equal(weights_.inv_freq));
}

TEST_F(Import, Shards) {
  Tensors first = read_tensors(folder_ / "model.safetensors"), second;
  Json map = Json::object();
  for (const auto& [name, tensor] : Tensors(first)) {
    const bool moves = second.size() < 10;
    map[name] = moves ? "model-2.safetensors" : "model-1.safetensors";
    if (moves) second.insert(first.extract(name));
  }
  write_tensors(folder_ / "model-1.safetensors", first);
  write_tensors(folder_ / "model-2.safetensors", second);
  std::filesystem::remove(folder_ / "model.safetensors");
  const auto write_index = [&](const Json& weight_map) {
    write_file(folder_ / "model.safetensors.index.json", to_text(Json{{"weight_map", weight_map}}));
  };
  write_index(map);
  EXPECT_TRUE(import_hugging_face(folder_).weights.flat.equal(weights_.flat));

  Json wrong = map;
  wrong[second.begin()->first] = "model-1.safetensors";
  write_index(wrong);
  EXPECT_THAT(error(), AllOf(HasSubstr("model-1.safetensors"), HasSubstr(second.begin()->first)));
  wrong[second.begin()->first] = "../model-2.safetensors";
  write_index(wrong);
  EXPECT_THAT(error(), HasSubstr("name of a file in the same folder"));
  wrong[second.begin()->first] = "model-3.safetensors";
  write_index(wrong);
  EXPECT_THAT(error(), HasSubstr("model-3.safetensors"));
  write_file(folder_ / "model.safetensors.index.json", "{}");
  EXPECT_THAT(error(), HasSubstr("weight_map"));
}

}  // namespace
}  // namespace esmscale::interop
