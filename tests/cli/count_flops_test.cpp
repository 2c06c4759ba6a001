#include "cli/outcome.h"
#include "esmscale/core/files/files.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Json count(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {"count-flops", "--json"});
  const Outcome outcome = run(flags);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.status == 0 ? parse_json(outcome.out, "stdout")["models"] : Json::array();
}

// One block, width 4, 2 heads, FFN 8: small enough to multiply by hand.
constexpr const char* kTiny = R"({"model": {"name": "tiny", "layers": 1, "width": 4, "heads": 2, "ffn": 8},
  "data": {"max_seq_len": 16}, "train": {"batch_tokens": 64, "epochs": 2}})";

// Oracle: N = 2·4·1·(2·4 + 8) = 128, and every row of the FLOP table for 3 rows and 29 tokens by hand.
TEST(CountFlops, TinyModelByHand) {
  const TemporaryFolder folder;
  write_file(folder / "tiny.json", kTiny);
  const Json models = count({"--config", folder / "tiny.json", "--sequence-length", "3", "--tokens", "1K"});
  ASSERT_EQ(models.size(), 1u);
  const Json& model = models[0];
  EXPECT_EQ(model["name"], "tiny");
  EXPECT_EQ(model["parameters"]["kaplan_non_embedding"], 128);
  EXPECT_EQ(model["flops"]["forward"]["total"], 2454);
  EXPECT_EQ(model["flops"]["training_per_sequence"], 3 * 2454);
  EXPECT_EQ(model["flops"]["training_per_token"], 2454);
  EXPECT_EQ(model["flops"]["six_n_per_token"], 768);
  EXPECT_EQ(model["run"]["tokens"], 1000);
  EXPECT_EQ(model["run"]["six_n_d"], 768000);
}

// Oracle: the embedding's V·d with the V that was asked for.
TEST(CountFlops, VocabularyReplacesTheConfigurations) {
  const TemporaryFolder folder;
  write_file(folder / "tiny.json", kTiny);
  const Json model = count({"--config", folder / "tiny.json", "--vocabulary", "32000"})[0];
  EXPECT_EQ(model["vocabulary"], 32000);
  EXPECT_EQ(model["parameters"]["embedding"], 4 * 32000);
  EXPECT_EQ(model["sequence_length"], 1024);
  EXPECT_TRUE(model["run"].is_null());
}

// Oracle: the sums over chains of 1, 5 and 30 residues: 3, 7 and (cropped) 16 rows, two epochs of them.
TEST(CountFlops, RealLengthsOfADataSet) {
  const TemporaryFolder folder;
  write_file(folder / "tiny.json", kTiny);
  write_file(folder / "in.fasta", ">a\nM\n>b\nMKVLA\n>c\nMKVLAMKVLAMKVLAMKVLAMKVLAMKVLA\n");
  const std::string data = folder / "data";
  const Outcome prepared =
      run({"prepare", "--input", folder / "in.fasta", "--output", data, "--log-level", "error"});
  ASSERT_EQ(prepared.status, 0) << prepared.err;
  const Json model = count({"--config", folder / "tiny.json", "--data", data})[0];
  EXPECT_DOUBLE_EQ(model["sequence_length"].get<double>(), 26 / 3.0);
  EXPECT_DOUBLE_EQ(model["mean_squared_length"].get<double>(), (9 + 49 + 256) / 3.0);
  EXPECT_EQ(model["run"]["tokens"], 2 * 26);
  // 752 FLOPs a row and 22 a squared row, forward: the table's rows for one sequence of one row.
  EXPECT_DOUBLE_EQ(model["flops"]["training_per_token"].get<double>(), 3 * (752.0 * 26 + 22.0 * 314) / 26);
}

// Oracle: the published parameter counts, 33 tokens; each model once, the smallest first.
TEST(CountFlops, AllPresets) {
  const Json models = count({"--vocabulary", "33"});
  std::vector<int64_t> trainable;
  for (const Json& model : models) trainable.push_back(model["parameters"]["trainable"]);
  EXPECT_THAT(trainable, ::testing::IsSupersetOf({7512353, 33501153, 148139553, 651042593}));
  EXPECT_TRUE(std::is_sorted(models.begin(), models.end(), [](const Json& a, const Json& b) {
    return a["parameters"]["kaplan_non_embedding"] < b["parameters"]["kaplan_non_embedding"];
  }));
}

TEST(CountFlops, TextForPeople) {
  const TemporaryFolder folder;
  write_file(folder / "tiny.json", kTiny);
  const Outcome one = run({"count-flops", "--config", folder / "tiny.json"});
  EXPECT_EQ(one.status, 0) << one.err;
  EXPECT_THAT(one.out,
              AllOf(HasSubstr("attention softmax"), HasSubstr("N (Kaplan"), HasSubstr("memory of a rank")));
  EXPECT_THAT(run({"count-flops"}).out, HasSubstr("N (Kaplan)"));
}

TEST(CountFlops, WrongUsageIsNamed) {
  const TemporaryFolder folder;
  const auto refused = [](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments{"count-flops"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  EXPECT_THAT(refused({"--tokens", "many"}), HasSubstr("--tokens"));
  EXPECT_THAT(refused({"--sequence-length", "0"}), HasSubstr("--sequence-length"));
  EXPECT_THAT(refused({"--vocabulary", "-3"}), HasSubstr("--vocabulary"));
  EXPECT_THAT(refused({"--sequence-length", "5", "--data", "d"}), HasSubstr("--data"));
  EXPECT_THAT(refused({"--config", "no-such.json"}), HasSubstr("no-such.json"));
  EXPECT_THAT(refused({"--sequence-lenght", "5"}), HasSubstr("--sequence-length"));
  const Outcome missing = run({"count-flops", "--data", folder / "absent"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("absent"));
}

}  // namespace
}  // namespace esmscale::cli
