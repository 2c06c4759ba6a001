// import, export and logits, as a user calls them.
#include "cli/small_run.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/data/alphabet.h"
#include "support/folders.h"

#include <cstring>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Interop : public ::testing::Test {
 protected:
  Interop() {
    weights_ = interop::write_folder(path("hf"), 33);
    write_file(path("x.fasta"), ">a first\nMKTAYIAKQ_RQ\n>b\n_\n");
  }
  std::string path(const std::string& name) const { return (temporary_ / name).string(); }
  Arguments logits(const std::string& checkpoint, const std::string& output,
                   const Arguments& more = {}) const {
    return Arguments{"logits",   "--checkpoint", path(checkpoint), "--input", path("x.fasta"),
                     "--output", path(output),   "--threads",      "1"} +
           more;
  }

  TemporaryFolder temporary_;
  model::Weights weights_;
};

// Export's own bytes come back: nothing is lost on the way through a checkpoint.
TEST_F(Interop, InAndOutGivesTheSameFolder) {
  const Json imported = json_of({"import", path("hf"), "--output", path("checkpoint")});
  EXPECT_EQ(imported["layers"], 2);
  EXPECT_EQ(imported["tokens"], 33);
  EXPECT_EQ(imported["parameters"], weights_.flat.numel());
  EXPECT_EQ(json_of({"export", path("checkpoint"), "--output", path("back")})["tokens"], 33);
  for (const char* file :
       {"config.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "model.safetensors"})
    EXPECT_EQ(read_file(path("back/") + file), read_file(path("hf/") + file)) << file;
}

TEST_F(Interop, ARunIsExportedAsItsNewestCheckpoint) {
  const SmallRun small;
  const std::string run_folder = small.trained("run");
  for (const int tokens : {29, 33}) {
    const std::string folder = path(std::to_string(tokens));
    const Json result =
        json_of({"export", run_folder, "--output", folder, "--alphabet", std::to_string(tokens)});
    EXPECT_GT(result["step"].get<int64_t>(), 0);
    EXPECT_EQ(read_json(folder + "/config.json")["vocab_size"], tokens);
  }
  EXPECT_EQ(read_json(path("33/config.json"))["max_position_embeddings"], 66);
}

TEST_F(Interop, LogitsFileIsWhatTheManualSays) {
  const Json result = json_of(logits("hf", "out", {"--embeddings"}));
  EXPECT_EQ(result["sequences"], 2);
  const SafetensorsFile file(path("out"));
  EXPECT_EQ(parse_json(file.metadata().at("tokens"), "tokens").get<std::vector<std::string>>(),
            data::TokenList::of(33).names());
  EXPECT_EQ(file.find("a")->shape, (std::vector<int64_t>{14, 33}));
  EXPECT_EQ(file.find("a/hidden")->shape, (std::vector<int64_t>{14, 32}));
  EXPECT_EQ(file.find("b")->shape, (std::vector<int64_t>{3, 33}));
  EXPECT_EQ(file.find("b")->dtype, "F32");
  EXPECT_EQ(file.entries().size(), 4u);
}

TEST_F(Interop, LogitsOfAFolderAndOfItsCheckpointAreTheSame) {
  ASSERT_EQ(run({"import", path("hf"), "--output", path("checkpoint")}).status, 0);
  json_of(logits("hf", "theirs"));
  json_of(logits("checkpoint", "ours"));
  EXPECT_EQ(read_file(path("theirs")), read_file(path("ours")));
}

// The rounding of sums in another order, two layers deep.
TEST_F(Interop, BothEnginesGiveTheSameLogits) {
  json_of(logits("hf", "fused"));
  json_of(logits("hf", "plain", {"--engine", "plain"}));
  const interop::Tensors fused = interop::read_tensors(path("fused")),
                         plain = interop::read_tensors(path("plain"));
  const double largest = plain.at("a").abs().max().item<double>();
  EXPECT_LT((fused.at("a") - plain.at("a")).abs().max().item<double>(), 3e-6 * largest);
}

TEST_F(Interop, LongSequencesAreComputedWholeAndSaidToBeLong) {
  interop::change_config(path("hf"), [](Json& config) { config["max_position_embeddings"] = 12; });
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run(logits("hf", "out")).status, 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("1 sequences"), HasSubstr("up to 14"), HasSubstr("the 10 that")));
  EXPECT_EQ(SafetensorsFile(path("out")).find("a")->shape[0], 14);
}

// A published model says nothing of its training set.
TEST_F(Interop, AnImportedModelIsToldFromTheLettersOfTheHoldout) {
  const data::ProteinSet holdout(data::ProteinSet::random(12, 45), 14);
  EXPECT_EQ(json_of({"eval", "--checkpoint", path("hf"), "--holdout", holdout.folder(), "--device", "cpu",
                     "--allow-longer", "--log-level", "error"})["baseline_letters"],
            "holdout");
}

TEST_F(Interop, NothingIsWrittenWhenTheInputIsWrong) {
  write_file(path("x.fasta"), ">a\nMK\n>b\nMK\n>a\nMA\n");
  EXPECT_THAT(refusal_of(1, logits("hf", "out")),
              AllOf(HasSubstr("x.fasta"), HasSubstr("'a' in the records 1 and 3")));
  write_file(path("x.fasta"), ">a\nM5\n");
  EXPECT_THAT(refusal_of(1, logits("hf", "out")), HasSubstr("'5'"));
  write_file(path("x.fasta"), ">a\nMK\n");
  EXPECT_THAT(refusal_of(1, logits("absent", "out")), HasSubstr("no such folder"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

// Before the checkpoint is looked for.
TEST_F(Interop, IdentifiersThatCannotNameATensor) {
  write_file(path("x.fasta"), ">__metadata__\nMK\n");
  EXPECT_THAT(refusal_of(1, logits("absent", "out")),
              AllOf(HasSubstr("record 1"), HasSubstr("__metadata__, which safetensors keeps")));
  write_file(path("x.fasta"), ">a/hidden\nMK\n>a\nMKV\n");
  EXPECT_THAT(refusal_of(1, logits("absent", "out", {"--embeddings"})),
              AllOf(HasSubstr("no identifier a/hidden"), HasSubstr("the embeddings of a")));
  json_of(logits("hf", "out"));
  EXPECT_EQ(SafetensorsFile(path("out")).entries().size(), 2u);
}

// Rows are the letters of the file: what differs is refused, or counted.
TEST_F(Interop, LogitsRefuseGapsAndCountOtherLetters) {
  write_file(path("x.fasta"), ">b\nMK--V.L*\n");
  EXPECT_THAT(refusal_of(1, logits("hf", "out")), AllOf(HasSubstr("x.fasta:2"), HasSubstr("--drop-gaps")));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_EQ(json_of(logits("hf", "out", {"--drop-gaps"})).at("counts").at("gaps_dropped"), 3);
  write_file(path("x.fasta"), ">a\nMJ*V*\n>\xd7\nMK\n>a\nM\n");
  const Json counts = json_of(logits("hf", "out", {"--rename-repeats", "--force"}));
  EXPECT_EQ(counts.at("renamed"), 1);
  EXPECT_EQ(counts.at("counts").at("stops_to_x"), 1);
  EXPECT_EQ(counts.at("counts").at("stops_dropped"), 1);
  EXPECT_EQ(counts.at("counts").at("j_to_x"), 1);
  const SafetensorsFile file(path("out"));
  EXPECT_EQ(file.find("a")->shape[0], 4 + 2);  // M, X, X, V
  EXPECT_EQ(file.find("a_2")->shape[0], 1 + 2);
  EXPECT_EQ(file.find("\xC3\x97")->shape[0], 2 + 2);
}

TEST_F(Interop, WrongRequests) {
  EXPECT_THAT(refusal_of(2, {"export", path("hf"), "--output", path("29"), "--alphabet", "29"}),
              HasSubstr("another model"));
  EXPECT_THAT(refusal_of(2, {"export", path("hf"), "--output", path("30"), "--alphabet", "30"}),
              HasSubstr("30"));
  EXPECT_THAT(refusal_of(1, {"export", path("hf"), "--output", path("hf")}), HasSubstr("absent or empty"));
  EXPECT_THAT(refusal_of(1, {"import", path("absent"), "--output", path("checkpoint")}),
              HasSubstr("no such folder"));
  EXPECT_THAT(refusal_of(1, {"import", path("hf"), "--output", path("hf")}), HasSubstr("absent or empty"));
  std::filesystem::remove(path("hf/model.safetensors"));
  EXPECT_THAT(refusal_of(1, {"import", path("hf"), "--output", path("checkpoint")}),
              HasSubstr("safetensors"));
  EXPECT_FALSE(std::filesystem::exists(path("checkpoint")));
}

}  // namespace
}  // namespace esmscale::cli
