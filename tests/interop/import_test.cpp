// Hugging Face folders in: what is read, and what is refused by name.
#include "core/error_of.h"
#include "core/temporary.h"
#include "esmscale/interop/hugging_face.h"
#include "interop/folders.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::interop {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Import : public ::testing::Test {
 protected:
  std::string error() const {
    return error_of([&] { import_hugging_face(folder_); });
  }
  std::string error_after_config(const std::function<void(Json&)>& change) const {
    change_config(folder_, change);
    return error();
  }
  std::string error_after_tensors(const std::function<void(Tensors&)>& change) const {
    change_tensors(folder_, change);
    return error();
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_ / "hf";
  model::Weights weights_ = write_folder(folder_, 33);
};

const std::string kLayer = "esm.encoder.layer.1.";
const std::string kInvFreq = "attention.self.rotary_embeddings.inv_freq";

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

TEST_F(Import, VocabularyThatDoesNotFit) {
  write_file(folder_ / "vocab.txt", "<cls>\n<pad>\nfoo\n");
  EXPECT_THAT(error(), AllOf(HasSubstr("3 lines"), HasSubstr("missing: <eos>"), HasSubstr("unknown: foo")));
  std::vector<std::string> twice = data::TokenList::of(33).names();
  twice.push_back("L");
  write_file(folder_ / "vocab.txt", join(twice, "\n"));
  EXPECT_THAT(error(), HasSubstr("34 lines"));
}

TEST_F(Import, SpecialTokensThatContradict) {
  EXPECT_THAT(error_after_config([](Json& config) { config["mask_token_id"] = 4; }),
              AllOf(HasSubstr("mask_token_id 32"), HasSubstr("found 4")));
  EXPECT_THAT(error_after_config([](Json& config) {
                config["mask_token_id"] = nullptr;
                config["pad_token_id"] = 0;
              }),
              HasSubstr("pad_token_id 1"));
}

TEST_F(Import, OtherArchitecturesAreRefusedByNameAllAtOnce) {
  const std::string said = error_after_config([](Json& config) {
    config["position_embedding_type"] = "absolute";
    config["hidden_act"] = "relu";
    config["emb_layer_norm_before"] = true;
    config["layer_norm_eps"] = 1e-12;
    config["is_folding_model"] = true;
    config["hidden_size"] = 30;
    config["num_hidden_layers"] = "six";
    config["token_dropout"] = 1;
    config.erase("intermediate_size");
  });
  EXPECT_THAT(said,
              AllOf(HasSubstr("position_embedding_type: expected \"rotary\", found \"absolute\""),
                    HasSubstr("hidden_act"), HasSubstr("emb_layer_norm_before"),
                    HasSubstr("layer_norm_eps: expected 1e-05, found 1e-12"), HasSubstr("is_folding_model")));
  EXPECT_THAT(said,
              AllOf(HasSubstr("hidden_size 30"),
                    HasSubstr("num_hidden_layers: expected a whole number from 1 to 1000, found \"six\""),
                    HasSubstr("token_dropout: expected true or false, found 1"),
                    HasSubstr("expected the key 'intermediate_size'")));
}

// transformers fills absent keys with BERT's values, which are not ESM-2's.
TEST_F(Import, AbsentSettingsMeanWhatTheyMeanToTransformers) {
  EXPECT_THAT(error_after_config([](Json& config) {
                config.erase("position_embedding_type");
                config.erase("layer_norm_eps");
                config.erase("token_dropout");
              }),
              AllOf(HasSubstr("absolute"), HasSubstr("1e-12"), Not(HasSubstr("token_dropout"))));
  change_config(folder_, [](Json& config) {
    config["position_embedding_type"] = "rotary";
    config["layer_norm_eps"] = 1e-5;
  });
  EXPECT_FALSE(import_hugging_face(folder_).weights.config.token_dropout);
}

TEST_F(Import, ConfigurationThatIsNotOne) {
  write_file(folder_ / "config.json", "[1]");
  EXPECT_THAT(error(), HasSubstr("JSON object"));
  write_file(folder_ / "config.json", "{");
  EXPECT_THAT(error(), HasSubstr("config.json"));
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_THAT(error(), HasSubstr("config.json"));
  EXPECT_FALSE(is_hugging_face_folder(folder_));
}

TEST_F(Import, TheFirstTensorsThatAreWrongAreListedAndTheOthersCounted) {
  const std::string said = error_after_tensors([](Tensors& tensors) {
    tensors.erase(kLayer + "attention.self.key.bias");
    tensors[kLayer + "output.dense.weight"] = at::zeros({32, 47});
    tensors["lm_head.dense.bias"] = at::zeros({32}, at::kDouble);
    tensors.erase("lm_head.layer_norm.weight");
    tensors[kLayer + "crossattention.self.key.bias"] = at::zeros({32});
  });
  EXPECT_THAT(said, AllOf(HasSubstr("attention.self.key.bias is missing"),
                          HasSubstr("output.dense.weight is [32, 47], not [32, 48]"),
                          HasSubstr("lm_head.dense.bias is F64"), HasSubstr("; and 2 more;")));
  EXPECT_LT(said.size(), 500u);
  EXPECT_THAT(error_after_tensors([](Tensors& tensors) {
                tensors.erase(kLayer + "attention.self.key.bias");
                tensors[kLayer + "attention.self.key.bias"] = at::zeros({32});
                tensors[kLayer + "output.dense.weight"] = at::zeros({32, 48});
                tensors["lm_head.dense.bias"] = at::zeros({32});
                tensors.erase(kLayer + "crossattention.self.key.bias");
              }),
              HasSubstr("found lm_head.layer_norm.weight is missing;"));
}

TEST_F(Import, PrefixesOfCompiledAndParallelModelsAreReadPast) {
  for (const std::string prefix : {"_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."}) {
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

// Each is one line that says what it is and the way out.
TEST_F(Import, OtherKindsOfModelsAreNamed) {
  const auto without_head = [&](const std::string& name, const std::function<void(Tensors&)>& change) {
    write_folder(temporary_ / name, 33);
    change_tensors(temporary_ / name, [&](Tensors& tensors) {
      std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with("lm_head."); });
      change(tensors);
    });
    const std::string said = error_of([&] { import_hugging_face(temporary_ / name); });
    EXPECT_LT(said.size(), 500u) << said;
    return said;
  };
  EXPECT_THAT(without_head("headless", [](Tensors&) {}), HasSubstr("saved by EsmModel"));
  EXPECT_THAT(without_head("bare",
                           [](Tensors& tensors) {
                             Tensors stripped;
                             for (const auto& [name, tensor] : tensors) stripped[name.substr(4)] = tensor;
                             tensors = std::move(stripped);
                           }),
              HasSubstr("saved by EsmModel"));
  EXPECT_THAT(without_head("classifier",
                           [](Tensors& tensors) {
                             tensors["classifier.dense.weight"] = at::zeros({2, 32});
                           }),
              HasSubstr("a classifier"));
  EXPECT_THAT(
      without_head(
          "lora",
          [](Tensors& tensors) {
            tensors["esm.encoder.layer.0.attention.self.query.lora_A.default.weight"] = at::zeros({2, 32});
          }),
      HasSubstr("merge_and_unload()"));
  EXPECT_THAT(error_after_config([](Json& config) { config["model_type"] = "nv_esm"; }),
              AllOf(HasSubstr("NVIDIA"), HasSubstr("convert_esm_te_to_hf")));
  EXPECT_THAT(error_after_config([](Json& config) {
                config["model_type"] = "esm";
                config["vocab_size"] = 64;
              }),
              HasSubstr("31 rows of padding"));
  EXPECT_THAT(error_after_config([](Json& config) { config["vocab_size"] = 446; }), HasSubstr("SaProt"));
}

TEST_F(Import, WhatIsNoFolderIsNamed) {
  const auto said = [](const std::filesystem::path& path) {
    return error_of([&] { import_hugging_face(path); });
  };
  std::filesystem::create_directories(temporary_ / "adapter");
  write_file(temporary_ / "adapter/adapter_config.json", "{}");
  EXPECT_THAT(said(temporary_ / "adapter"), HasSubstr("a LoRA adapter"));
  write_file(temporary_ / "esm2.pt", "PK\x03\x04");
  EXPECT_THAT(said(temporary_ / "esm2.pt"), AllOf(HasSubstr("a PyTorch file"), HasSubstr("safetensors")));
  EXPECT_THAT(said(folder_ / "model.safetensors"), HasSubstr("give the folder"));
  EXPECT_THAT(said("facebook/esm2_t6_8M_UR50D"),
              AllOf(HasSubstr("Hub"), HasSubstr("hf download facebook/esm2_t6_8M_UR50D --local-dir")));
  EXPECT_THAT(said(temporary_ / "absent"), HasSubstr("no such folder"));
  constexpr const char* kPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
  write_file(folder_ / "model.safetensors", kPointer);
  EXPECT_THAT(error(), AllOf(HasSubstr("Git LFS pointer"), HasSubstr("git lfs pull")));
  write_file(folder_ / "config.json", kPointer);
  EXPECT_THAT(error(),
              HasSubstr("config.json: expected the configuration of an ESM-2, found a Git LFS pointer"));
}

TEST_F(Import, MoreLayersThanTheConfigurationSaysAreRefused) {
  EXPECT_THAT(error_after_config([](Json& config) { config["num_hidden_layers"] = 1; }),
              HasSubstr(kLayer + "LayerNorm.bias is not a part"));
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

TEST_F(Import, DecoderThatIsNotTiedIsRefused) {
  EXPECT_THAT(error_after_tensors([](Tensors& tensors) {
                tensors["lm_head.decoder.weight"] = tensors["esm.embeddings.word_embeddings.weight"] + 1;
              }),
              HasSubstr("lm_head.decoder.weight differs"));
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

TEST_F(Import, RotaryFrequenciesMustAgree) {
  EXPECT_THAT(error_after_tensors([](Tensors& tensors) { tensors[kLayer + kInvFreq] = at::full({8}, 0.5); }),
              HasSubstr(kLayer + kInvFreq + " differs"));
  EXPECT_THAT(error_after_tensors([](Tensors& tensors) { tensors[kLayer + kInvFreq] = at::full({7}, 0.5); }),
              HasSubstr("[7], not [8]"));
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

TEST_F(Import, PicklesAreNotRead) {
  std::filesystem::rename(folder_ / "model.safetensors", folder_ / "pytorch_model.bin");
  EXPECT_THAT(error(), AllOf(HasSubstr("pickle"), HasSubstr("save_pretrained")));
  std::filesystem::remove(folder_ / "pytorch_model.bin");
  EXPECT_THAT(error(), HasSubstr("neither"));
}

}  // namespace
}  // namespace esmscale::interop
