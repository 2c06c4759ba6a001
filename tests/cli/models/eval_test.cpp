#include "cli/small_run.h"
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/kernels/cpu/isa.h"

#include <cmath>
#include <filesystem>
#include <sstream>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string tensors_of(const std::string& run) {
  return checkpoint::resolve_checkpoint(run) / "tensors.safetensors";
}

// Oracle: the keys that users and scripts rely on, and what the run itself wrote.
TEST(Eval, HasTheKeysAndAgreesWithTheRun) {
  const SmallRun small;
  const Json trained = json_of(small.train("run"))["evaluation"];
  const Json result = json_of(small.eval({"--checkpoint", small.path("run"), "--holdout"}));
  for (const char* key :
       {"loss", "standard_error", "perplexity", "accuracy", "loss_mask_only", "baseline_loss",
        "baseline_mask_only", "below_baseline", "below_baseline_error", "below_baseline_mask_only",
        "below_baseline_mask_only_error", "masked_tokens", "tokens", "sequences", "step"})
    EXPECT_TRUE(result[key].is_number()) << key;
  EXPECT_THAT(result["holdout_label"].get<std::string>(), HasSubstr("never checked"));
  EXPECT_EQ(result["sequences"], 12);
  EXPECT_EQ(fs::path(result["checkpoint"].get<std::string>()),
            checkpoint::resolve_checkpoint(small.path("run")));
  // The same weights and masks on another engine object: the same operations, but at::Tensor storage differs.
  EXPECT_NEAR(result["loss"].get<double>(), trained["loss"].get<double>(), 1e-6);
  EXPECT_EQ(result["baseline_loss"], trained["baseline_loss"]);
  EXPECT_EQ(json_of(small.eval({"--checkpoint", small.path("run"), "--holdout", small.holdout.folder()})),
            result)
      << "the run's own holdout";
  const Outcome shown = run(small.eval({"--checkpoint", small.path("run")}));
  EXPECT_THAT(shown.out,
              AllOf(HasSubstr("bert 80/10/10"), HasSubstr("mask only"), HasSubstr("12 sequences")));
}

TEST(Eval, LossesByGroup) {
  const SmallRun small;
  const std::string table = small.path("groups.csv");
  write_file(table, "identifier,family\nprotein0,a\nprotein1,a\nprotein2,b\nprotein3,b\nprotein4,b\n");
  const std::string a = small.trained("a"), b = small.trained("b", {"--set", "train.seed=5"});
  const Arguments groups{"--groups", table, "--group-column", "family"};
  const Json one = json_of(small.eval(Arguments{"--checkpoint", a} + groups));
  ASSERT_EQ(one["groups"].size(), 3u);
  EXPECT_EQ(one["groups"][0]["group"], "(none)");
  EXPECT_EQ(one["groups"][2]["sequences"], 3);
  double sum = 0;
  int64_t masked = 0;
  for (const Json& group : one["groups"]) {
    sum += group["loss"].get<double>() * double(group["masked"].get<int64_t>());
    masked += group["masked"].get<int64_t>();
  }
  EXPECT_NEAR(sum / double(masked), one["loss"].get<double>(), 1e-12);
  EXPECT_TRUE(one["standard_error_by_group"].is_null()) << "three groups are too few";
  const Json two = json_of(small.eval(Arguments{"--checkpoint", a, "--checkpoint", b} + groups));
  EXPECT_EQ(two["difference"]["groups"].size(), 3u);
  EXPECT_THAT(run(small.eval(Arguments{"--checkpoint", a, "--checkpoint", b} + groups)).out,
              AllOf(HasSubstr("(none)"), HasSubstr("a − b with the error of drawing groups")));
  EXPECT_THAT(refusal_of(1, small.eval({"--checkpoint", a, "--groups", table})), HasSubstr("family"));
}

struct CurrentFolder {
  explicit CurrentFolder(const fs::path& folder) { fs::current_path(folder); }
  ~CurrentFolder() { fs::current_path(before); }
  fs::path before = fs::current_path();
};

// As the quickstart does: data sets named from where training started, evaluation from within the run.
TEST(Eval, TheRunInTheCurrentFolderOnItsOwnHoldout) {
  const SmallRun small;
  fs::copy(small.train_set.folder(), small.path("train"));
  fs::copy(small.holdout.folder(), small.path("holdout"));
  Json trained;
  {
    const CurrentFolder there(small.path(""));
    trained = json_of({"train", "--config", small.config(), "--data", "train", "--holdout", "holdout",
                       "--output", "runs/a", "--device", "cpu", "--threads", "1", "--log-level", "error"});
  }
  const CurrentFolder there(small.path("runs/a"));
  const Json result = json_of(small.eval());
  EXPECT_NEAR(result["loss"].get<double>(), trained["evaluation"]["loss"].get<double>(), 1e-6);
  EXPECT_EQ(result["baseline_letters"], "training set");
}

TEST(Eval, SeveralDrawsOfMasks) {
  const SmallRun small;
  const std::string run_folder = small.trained("run", {"--set", "eval.draws=2"});
  const Json one = json_of(small.eval({"--checkpoint", run_folder}));
  EXPECT_EQ(one["draws"], 1);
  EXPECT_EQ(one["precision"], "fp32");
  EXPECT_TRUE(one["mask_error"].is_null());
  const Json four = json_of(small.eval({"--checkpoint", run_folder, "--draws", "4"}));
  EXPECT_EQ(four["draws"], 4);
  EXPECT_GT(four["masked_tokens"].get<int64_t>(), 3 * one["masked_tokens"].get<int64_t>());
  EXPECT_EQ(four["tokens"], one["tokens"]);
  EXPECT_GT(four["mask_error"].get<double>(), 0);
  EXPECT_LT(four["mask_error"].get<double>(), four["standard_error"].get<double>() * 3);
  EXPECT_THAT(run(small.eval({"--checkpoint", run_folder, "--draws", "4"})).out, HasSubstr("in 4 draws"));
  std::istringstream lines(read_file(run_folder + "/metrics.jsonl"));
  Json last;
  for (std::string line; std::getline(lines, line);) last = parse_json(line, "metrics");
  EXPECT_EQ(last["eval/draws"], 2) << "a run evaluates so, too";
  EXPECT_EQ(last["eval/precision"], "fp32");
  EXPECT_TRUE(last["eval/mask_error_mask_only"].is_number());
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", run_folder, "--draws", "0"})), HasSubstr("--draws"));
}

// Tolerance: a loss of logits that are rounded to 2^-8 a dozen times.
TEST(Eval, InBf16WhereTheProcessorHasIt) {
  const SmallRun small;
  const Arguments given{"--checkpoint", small.trained("run")};
  const Arguments bf16 = small.eval(given + Arguments{"--precision", "bf16"});
  if (!kernels::cpu::has_bf16_products()) {
    EXPECT_THAT(refusal_of(2, bf16), HasSubstr("AVX512_BF16 or AMX"));
    return;
  }
  const Json exact = json_of(small.eval(given)), rounded = json_of(bf16);
  EXPECT_EQ(rounded["precision"], "bf16");
  EXPECT_NEAR(rounded["loss"].get<double>(), exact["loss"].get<double>(), 0.01);
  EXPECT_NE(rounded["loss"], exact["loss"]);
}

TEST(Eval, OnePatternOrSomeSequences) {
  const SmallRun small;
  const std::string run_folder = small.trained("run");
  const Json both = json_of(small.eval({"--checkpoint", run_folder}));
  const Json bert = json_of(small.eval({"--checkpoint", run_folder, "--mask-pattern", "bert"}));
  EXPECT_EQ(bert["loss"], both["loss"]);
  EXPECT_FALSE(bert.contains("loss_mask_only"));
  const Json mask_only = json_of(small.eval({"--checkpoint", run_folder, "--mask-pattern", "mask-only"}));
  EXPECT_EQ(mask_only["loss_mask_only"], both["loss_mask_only"]);
  EXPECT_FALSE(mask_only.contains("loss"));
  EXPECT_EQ(mask_only["masked_tokens"], both["masked_tokens"]);
  EXPECT_EQ(json_of(small.eval({"--checkpoint", run_folder, "--max-sequences", "5"}))["sequences"], 5);
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", run_folder, "--mask-pattern", "random"})),
              HasSubstr("mask-only"));
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", run_folder, "--max-sequences", "-5"})),
              HasSubstr("--max-sequences"));
}

// In training, too, where the holdout has no more.
TEST(Eval, TheErrorOfOneSequenceIsUnknown) {
  const SmallRun small;
  const data::ProteinSet one(data::ProteinSet::random(1, 45), 62);
  const Json trained = json_of(small.train("run", {"--holdout", one.folder()}));
  EXPECT_TRUE(trained["evaluation"]["loss"].is_number());
  EXPECT_TRUE(trained["evaluation"]["standard_error"].is_null());
  const Outcome again = run(small.train("run", {"--holdout", one.folder()}));
  EXPECT_EQ(again.status, 0) << "it reads its own metrics";
  EXPECT_THAT(again.out, HasSubstr("± unknown nats"));
  const Arguments arguments = small.eval({"--checkpoint", small.path("run"), "--holdout", one.folder()});
  const Json result = json_of(arguments);
  for (const char* key : {"standard_error", "standard_error_mask_only", "below_baseline_error",
                          "below_baseline_mask_only_error"})
    EXPECT_TRUE(result[key].is_null()) << key;
  EXPECT_TRUE(result["below_baseline"].is_number());
  EXPECT_THAT(run(arguments).out, HasSubstr("± unknown"));
  const Outcome paired = run(arguments + Arguments{"--checkpoint", small.path("run")});
  EXPECT_THAT(paired.out, HasSubstr("a − b, paired by sequence: 0.0000 ± unknown"));
}

// X, like B, U, Z and O, is never masked.
TEST(Eval, AHoldoutWithNothingToScoreSaysSo) {
  const SmallRun small;
  const data::ProteinSet unknown({"XXXXXXXXXX", "XXXXX"}, 62);
  const Arguments arguments =
      small.eval({"--checkpoint", small.trained("run"), "--holdout", unknown.folder()});
  const Json result = json_of(arguments);
  EXPECT_EQ(result["masked_tokens"], 0);
  for (const char* key : {"loss", "perplexity", "accuracy", "baseline_loss", "below_baseline",
                          "accuracy_mask_only", "baseline_mask_only"})
    EXPECT_TRUE(result[key].is_null()) << key;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run(arguments + Arguments{"--log-level", "warning"}).status, 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("has nothing to score"));
}

// Oracle: the two results on their own; a checkpoint against itself differs by exactly nothing.
TEST(Eval, TwoCheckpointsArePaired) {
  const SmallRun small;
  const std::string a = small.trained("a"), b = small.trained("b", {"--set", "train.seed=2"});
  const Json both = json_of(small.eval({"--checkpoint", a, "--checkpoint", b}));
  EXPECT_EQ(both["a"], json_of(small.eval({"--checkpoint", a})));
  EXPECT_EQ(both["b"], json_of(small.eval({"--checkpoint", b})));
  const Json& d = both["difference"];
  EXPECT_NEAR(d["loss"].get<double>(), both["a"]["loss"].get<double>() - both["b"]["loss"].get<double>(),
              1e-12);
  EXPECT_NEAR(d["loss_mask_only"].get<double>(),
              both["a"]["loss_mask_only"].get<double>() - both["b"]["loss_mask_only"].get<double>(), 1e-12);
  EXPECT_GT(d["standard_error"].get<double>(), 0);
  EXPECT_GT(d["standard_error_mask_only"].get<double>(), 0);

  const Json same = json_of(small.eval({"--checkpoint", a, "--checkpoint", a}))["difference"];
  for (const auto& [key, value] : same.items()) EXPECT_EQ(value, 0) << key;
  EXPECT_THAT(run(small.eval({"--checkpoint", a, "--checkpoint", b})).out, HasSubstr("a − b"));
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", a, "--checkpoint", b, "--checkpoint", a})),
              HasSubstr("two to compare"));
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", a, "--checkpoint", b, "--per-sequence", "x.tsv"})),
              HasSubstr("--per-sequence"));
}

TEST(Eval, HoldoutThatIsNone) {
  const SmallRun small;
  const std::string bare = small.trained("bare", {"--holdout", "", "--set", "data.holdout="});
  EXPECT_THAT(refusal_of(2, small.eval({"--checkpoint", bare})), HasSubstr("give --holdout DIR"));
  EXPECT_THAT(refusal_of(1, small.eval({"--checkpoint", bare, "--holdout", small.path("absent")})),
              HasSubstr("absent"));
  EXPECT_GT(json_of(small.eval({"--checkpoint", bare, "--holdout", small.holdout.folder()}))["loss"], 0);
}

TEST(Eval, CheckpointThatIsNone) {
  const SmallRun small;
  EXPECT_THAT(refusal_of(1, small.eval({"--checkpoint", small.path("absent")})), HasSubstr("absent"));
  EXPECT_THAT(refusal_of(1, small.eval({"--checkpoint", small.holdout.folder()})),
              HasSubstr(small.holdout.folder().string()));
}

TEST(Eval, LongerWindowsAreRefusedUnlessAsked) {
  const SmallRun small;
  const std::string run_folder = small.trained("run");
  const data::ProteinSet longer(data::ProteinSet::random(9, 120), 200);
  const Arguments arguments = small.eval({"--checkpoint", run_folder, "--holdout", longer.folder()});
  EXPECT_THAT(refusal_of(2, arguments), AllOf(HasSubstr("data.max_seq_len"), HasSubstr("--allow-longer")));
  EXPECT_EQ(json_of(arguments + Arguments{"--allow-longer"})["sequences"], 9);
}

TEST(Eval, DamagedCheckpointsAreNamed) {
  const SmallRun small;
  const std::string run_folder = small.trained("run"),
                    other = small.trained("other", {"--set", "train.seed=2"});
  const std::string file = tensors_of(run_folder), whole = read_file(file);
  const auto refused = [&](const std::string& content) {
    write_file(file, content);
    return refusal_of(1, small.eval({"--checkpoint", run_folder}));
  };
  for (const size_t at : {size_t{3}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    std::string flipped = whole;
    flipped[at] ^= 1;
    EXPECT_THAT(refused(flipped), HasSubstr("tensors.safetensors")) << "bit of byte " << at;
  }
  EXPECT_THAT(refused(whole.substr(0, whole.size() - 4)), HasSubstr("bytes"));
  EXPECT_THAT(refused(""), HasSubstr("tensors.safetensors"));
  EXPECT_THAT(refused(read_file(tensors_of(other))), HasSubstr("belongs to another checkpoint"));
  write_file(file, whole);
  EXPECT_EQ(run(small.eval({"--checkpoint", run_folder})).status, 0);

  const fs::path metadata = checkpoint::resolve_checkpoint(run_folder) / "checkpoint.json";
  std::string text = read_file(metadata);
  text[text.find("\"step\"") + 8] ^= 1;
  write_file(metadata, text);
  EXPECT_THAT(refusal_of(1, small.eval({"--checkpoint", run_folder})), HasSubstr("checkpoint.json"));
}

TEST(Eval, DeviceThatIsNotThere) {
  const SmallRun small;
  const std::string run_folder = small.trained("run");
  EXPECT_THAT(refusal_of(2, {"eval", "--checkpoint", run_folder, "--device", "gpu"}),
              HasSubstr("{auto,cpu,cuda}"));
}

}  // namespace
}  // namespace esmscale::cli
