#include "esmscale/accounting/account.h"

#include "accounting/shapes.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::accounting {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

config::RunConfig preset(const config::ModelConfig& model, const std::string& name) {
  config::RunConfig config;
  config.model = model;
  config.model.name = name;
  config::resolve(config);
  return config;
}

// Oracle: added up by hand; a chain of 10 residues has 12 rows, one of 1,500 is cropped to 1,024.
TEST(Lengths, RealLengthsCountStartEndAndCrop) {
  const std::vector<uint32_t> residues{10, 1500, 1022};
  const Lengths lengths = real_lengths(residues, 1024);
  EXPECT_EQ(lengths.tokens, 12 + 1024 + 1024);
  EXPECT_EQ(lengths.squared_tokens, 144 + 2 * 1048576.0);
  EXPECT_EQ(lengths.mean(), 2060 / 3.0);
}

// Oracle: the FLOPs of each sequence alone, averaged. Means are rounded doubles, hence the relative 1e-12.
TEST(Account, MeanSequenceIsTheMeanOfTheSequences) {
  const std::vector<uint32_t> residues{55, 350, 1100};
  const Account account =
      account_for(preset(esm2_35M(29), "35M"), real_lengths(residues, 1024), 0, 1, config::DeviceKind::cpu);
  double total = 0;
  for (const double rows : {57.0, 352.0, 1024.0}) total += forward_flops(account.config.model, rows).total();
  EXPECT_NEAR(account.forward.total(), total / 3, 1e-12 * total);
  EXPECT_NEAR(account.training_per_token, 3 * total / (57 + 352 + 1024), 1e-12 * total);
}

// Oracle: the keys promised to scripts, and the numbers of the functions that they report.
TEST(Account, JsonKeepsItsPromise) {
  const Account account =
      account_for(preset(esm2_8M(29), "esm2_8M"), equal_lengths(1024), 2e9, 4, config::DeviceKind::cpu);
  const Json json = to_json(account);
  EXPECT_EQ(json["name"], "esm2_8M");
  EXPECT_EQ(json["layers"], 6);
  EXPECT_EQ(json["width"], 320);
  EXPECT_EQ(json["heads"], 20);
  EXPECT_EQ(json["ffn"], 1280);
  EXPECT_EQ(json["vocabulary"], 29);
  EXPECT_TRUE(json["sequence_length"].is_number_integer());
  EXPECT_EQ(json["sequence_length"], 1024);
  for (const char* key :
       {"embedding", "attention", "ffn", "head_dense", "head_decoder", "kaplan_non_embedding", "trainable"})
    EXPECT_TRUE(json["parameters"][key].is_number_integer()) << key;
  const Json& forward = json["flops"]["forward"];
  double sum = 0;
  for (const char* key : {"embedding", "qkv", "attention_logits", "attention_softmax", "attention_values",
                          "attention_output", "ffn", "head_dense", "head_decoder"})
    sum += forward.at(key).get<double>();
  EXPECT_EQ(forward["total"].get<double>(), sum);
  EXPECT_EQ(json["flops"]["training_per_sequence"].get<double>(), 3 * sum);
  EXPECT_EQ(json["flops"]["training_per_token"].get<double>(), 3 * sum / 1024);
  EXPECT_EQ(json["flops"]["six_n_per_token"].get<double>(), 6.0 * account.parameters.kaplan_non_embedding);
  EXPECT_EQ(json["run"]["six_n_d"].get<double>(), 6.0 * account.parameters.kaplan_non_embedding * 2e9);
  EXPECT_EQ(json["run"]["training_flops"].get<double>(), 3 * sum / 1024 * 2e9);
  EXPECT_EQ(json["memory"]["ranks"], 4);
  EXPECT_EQ(json["memory"]["total"].get<double>(), account.memory.total());
  const Json& by_stage = json["memory"]["total_by_stage"];
  EXPECT_EQ(by_stage[account.config.parallel.zero_stage], json["memory"]["total"]);
  EXPECT_GT(by_stage[0], by_stage[1]);
  EXPECT_GT(by_stage[1], by_stage[2]);
}

TEST(Account, NoRunWithoutTokens) {
  EXPECT_TRUE(
      to_json(account_for(preset(esm2_8M(), "m"), equal_lengths(512), 0, 1, config::DeviceKind::cpu))["run"]
          .is_null());
}

// Oracle: numbers known from elsewhere: published parameters, N of 6 blocks of width 320, its ratio to 6N.
TEST(Account, TextNamesWhatItCounts) {
  const Account account =
      account_for(preset(esm2_8M(33), "esm2_8M"), equal_lengths(1024), 1e9, 1, config::DeviceKind::cpu);
  const std::string shown = account_text(account);
  EXPECT_THAT(shown,
              AllOf(HasSubstr("all trainable 7512353"), HasSubstr("7372800"), HasSubstr(" × 6N (4.424e+07)"),
                    HasSubstr("softmax"), HasSubstr("a run of 1.00G tokens"), HasSubstr("moments")));
  const std::vector<Account> two{account, account_for(preset(esm2_35M(33), "esm2_35M"), equal_lengths(1024),
                                                      0, 1, config::DeviceKind::cpu)};
  const std::string table = accounts_table(two);
  EXPECT_THAT(table, AllOf(HasSubstr("7512353"), HasSubstr("33501153"), HasSubstr("12 × 480")));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 4);
}

}  // namespace
}  // namespace esmscale::accounting
