// Hugging Face folders that are refused, and the reasons.
#include "interop/import_fixture.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

namespace esmscale::interop {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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
    config["layer_norm_eps"] = 0;
    config["is_folding_model"] = true;
    config["hidden_size"] = 30;
    config["num_hidden_layers"] = "six";
    config["token_dropout"] = 1;
    config.erase("intermediate_size");
  });
  EXPECT_THAT(said,
              AllOf(HasSubstr("position_embedding_type: expected \"rotary\", found \"absolute\""),
                    HasSubstr("hidden_act"), HasSubstr("emb_layer_norm_before"),
                    HasSubstr("layer_norm_eps: expected a number above 0"), HasSubstr("is_folding_model")));
  EXPECT_THAT(said,
              AllOf(HasSubstr("hidden_size 30"),
                    HasSubstr("num_hidden_layers: expected a whole number from 1 to 1000, found \"six\""),
                    HasSubstr("token_dropout: expected true or false, found 1"),
                    HasSubstr("expected the key 'intermediate_size'")));
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

TEST_F(Import, DecoderThatIsNotTiedIsRefused) {
  EXPECT_THAT(error_after_tensors([](Tensors& tensors) {
                tensors["lm_head.decoder.weight"] = tensors["esm.embeddings.word_embeddings.weight"] + 1;
              }),
              HasSubstr("lm_head.decoder.weight differs"));
}

TEST_F(Import, RotaryFrequenciesMustAgree) {
  EXPECT_THAT(error_after_tensors([](Tensors& tensors) { tensors[kLayer + kInvFreq] = at::full({8}, 0.5); }),
              HasSubstr(kLayer + kInvFreq + " differs"));
  EXPECT_THAT(error_after_tensors([](Tensors& tensors) { tensors[kLayer + kInvFreq] = at::full({7}, 0.5); }),
              HasSubstr("[7], not [8]"));
}

TEST_F(Import, PicklesAreNotRead) {
  std::filesystem::rename(folder_ / "model.safetensors", folder_ / "pytorch_model.bin");
  EXPECT_THAT(error(), AllOf(HasSubstr("pickle"), HasSubstr("save_pretrained")));
  std::filesystem::remove(folder_ / "pytorch_model.bin");
  EXPECT_THAT(error(), HasSubstr("neither"));
}

}  // namespace
}  // namespace esmscale::interop
