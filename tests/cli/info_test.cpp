#include "cli/small_run.h"
#include "esmscale/checkpoint/checkpoint.h"

#include <filesystem>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Info, OfADataSet) {
  const data::ProteinSet set(data::ProteinSet::random(30, 40));
  const Json info = json_of({"info", set.folder()});
  EXPECT_EQ(info["kind"], "dataset");
  EXPECT_EQ(info["sequences"], 30);
  EXPECT_EQ(info["tokens"], info["residues"].get<int64_t>() + 2 * 30);
  for (const char* key : {"shards", "bytes", "seed", "max_length", "unigram_entropy", "baseline_loss"})
    EXPECT_TRUE(info[key].is_number()) << key;
  int64_t residues = 0;
  for (const auto& [letter, count] : info["residue_counts"].items()) residues += count.get<int64_t>();
  EXPECT_EQ(residues, info["residues"]);
  EXPECT_EQ(info["verified"], false);
  EXPECT_EQ(json_of({"info", set.folder(), "--verify"})["verified"], true);
  EXPECT_THAT(run({"info", set.folder()}).out, HasSubstr("letter entropy"));
}

TEST(Info, OfARunACheckpointAndAHuggingFaceFolder) {
  const SmallRun small;
  const std::string run_folder = small.trained("run");
  const Json of_run = json_of({"info", run_folder, "--verify"});
  EXPECT_EQ(of_run["kind"], "run");
  EXPECT_EQ(of_run["finished"], true);
  EXPECT_EQ(of_run["model"]["kaplan_non_embedding"], 2 * 16 * (2 * 16 + 64));
  ASSERT_EQ(of_run["checkpoints"].size(), 1u);

  const std::string checkpoint = checkpoint::resolve_checkpoint(run_folder);
  const Json of_checkpoint = json_of({"info", checkpoint, "--verify"});
  EXPECT_EQ(of_checkpoint, of_run["checkpoints"][0]);
  EXPECT_EQ(of_checkpoint["kind"], "checkpoint");
  EXPECT_EQ(of_checkpoint["step"], of_run["last"]["step"]);
  EXPECT_EQ(of_checkpoint["dataset_hash"], small.train_set.dataset().manifest().hash);

  const std::string exported = small.path("hf");
  ASSERT_EQ(run({"export", checkpoint, "--output", exported, "--log-level", "error"}).status, 0);
  const Json of_folder = json_of({"info", exported, "--verify"});
  EXPECT_EQ(of_folder["kind"], "huggingface");
  EXPECT_EQ(of_folder["verified"], false) << "it has no checksums";
  EXPECT_EQ(of_folder["model"]["layers"], 1);
  for (const std::string& path : {run_folder, checkpoint, exported})
    EXPECT_THAT(run({"info", path}).out, AllOf(HasSubstr("kind: "), HasSubstr("kaplan_non_embedding: 3072")));
}

// "finished" is a line of metrics: without the last checkpoint the run is not done.
TEST(Info, AFinishedRunHasItsCheckpoint) {
  const SmallRun small;
  const std::string run_folder = small.trained("run");
  EXPECT_FALSE(json_of({"info", run_folder}).contains("unfinished"));
  std::filesystem::remove_all(checkpoint::resolve_checkpoint(run_folder));
  const Json info = json_of({"info", run_folder});
  EXPECT_EQ(info["finished"], false);
  EXPECT_THAT(info["unfinished"].get<std::string>(), HasSubstr("its last checkpoint, of step"));
}

TEST(Info, VerifyFindsAFlippedBit) {
  const SmallRun small;
  const std::string run_folder = small.trained("run");
  const std::filesystem::path file = checkpoint::resolve_checkpoint(run_folder) / "tensors.safetensors";
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] ^= 4;
  write_file(file, bytes);
  EXPECT_EQ(run({"info", run_folder}).status, 0) << "without --verify no tensor is read";
  EXPECT_THAT(refusal_of(1, {"info", run_folder, "--verify"}), HasSubstr("tensors.safetensors"));
}

// A manifest that another program sealed.
TEST(Info, AManifestWithoutItsKeysIsNamed) {
  const data::ProteinSet set(data::ProteinSet::random(5, 20));
  const std::filesystem::path file = set.dataset().folder() / "manifest.json";
  const Json good = read_checked_json(file);
  Json document = good;
  document.erase("provenance");
  write_checked_json(file, document);
  EXPECT_EQ(run({"info", set.folder(), "--json"}).status, 1);
  EXPECT_THAT(run({"info", set.folder(), "--json"}).err,
              AllOf(HasSubstr("manifest.json: "), HasSubstr("'provenance'")));
  document = good;
  document["holdout_report"] = Json::object();
  write_checked_json(file, document);
  EXPECT_THAT(refusal_of(1, {"info", set.folder()}),
              AllOf(HasSubstr("manifest.json: holdout_report"), HasSubstr("'training_hash'")));
}

// What a file says reaches no terminal as a control: oracle, the characters themselves.
TEST(Info, TextOfFilesIsShownEscaped) {
  const TemporaryFolder folder;
  write_file(folder / "laws.json", R"({"points": 3, "basis": {"so\u001burce": "a\u001b[31m\nb\u0000"}})");
  const std::string out = run({"info", folder / "laws.json"}).out;
  EXPECT_THAT(out, HasSubstr("so\\x1burce: a\\x1b[31m\\nb\\x00\n"));
  EXPECT_EQ(out.find('\x1b'), out.npos);
  const data::ProteinSet set(data::ProteinSet::random(5, 20));
  const std::filesystem::path file = set.dataset().folder() / "manifest.json";
  Json document = read_checked_json(file);
  document["split"] = "far\x1b[31m\nb";
  write_checked_json(file, document);
  EXPECT_THAT(run({"info", set.folder()}).out, HasSubstr("far\\x1b[31m\\nb\n"));
}

TEST(Info, OfNothingItKnows) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal_of(1, {"info", folder.path()}), HasSubstr("none of them"));
  EXPECT_THAT(refusal_of(1, {"info", folder / "absent"}), HasSubstr("nothing there"));
  write_file(folder / "file", "text");
  EXPECT_THAT(refusal_of(1, {"info", folder / "file"}), HasSubstr("none of them"));
}

}  // namespace
}  // namespace esmscale::cli
