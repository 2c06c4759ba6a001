// The verbs prepare, fasta and info of a data set, as users call them.
#include "cli/outcome.h"
#include "support/temporary.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class DataVerbs : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream out(input_);
    for (int i = 0; i < 100; ++i)
      out << ">p" << i << " number " << i << "\nMKV" << std::string(1 + i % 70, "LAGE"[i % 4]) << "\n";
  }

  // Runs `verb` quietly and expects success.
  std::string done(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--log-level", "off"});
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  }
  Json json(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    return parse_json(done(arguments), "stdout");
  }
  // Expects a failure with this exit code, one error line and nothing on stdout.
  std::string failed(int status, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--log-level", "off"});
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, status) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("error: ")) << outcome.err;
    return outcome.err;
  }

  // ">name\nletters\n" of each record, sorted.
  static std::vector<std::string> records(const std::string& fasta) {
    std::vector<std::string> found;
    std::istringstream lines(fasta);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(">"))
        found.push_back(line.substr(0, line.find(' ')) + "\n");
      else
        found.back() += line;
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  static std::string bytes_of_file(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TemporaryFolder root_;
  const std::string input_ = root_ / "in.fasta", set_ = root_ / "set";
};

TEST_F(DataVerbs, PrepareTellsWhatItMade) {
  const Json made = json({"prepare", "--input", input_, "--output", set_, "--holdout", "10",
                          "--holdout-output", root_ / "holdout"});
  EXPECT_EQ(made.at("sequences"), 90);
  EXPECT_EQ(made.at("holdout").at("sequences"), 10);
  EXPECT_EQ(made.at("holdout").at("split"), "random split, homologues present");
  EXPECT_EQ(made.at("counts").at("records"), 100);
  EXPECT_THAT(done({"prepare", "--input", input_, "--output", set_, "--force"}), HasSubstr("100 sequences"));
}

TEST_F(DataVerbs, FastaGivesBackTheInput) {
  done({"prepare", "--input", input_, "--output", set_});
  const std::string all = done({"fasta", set_});
  EXPECT_EQ(records(all), records(bytes_of_file(input_)));
  EXPECT_EQ(done({"fasta", set_, "--range", "0:40"}) + done({"fasta", set_, "--range", "40:"}), all);
  EXPECT_EQ(done({"fasta", set_, "--range", ":100"}), all);
  EXPECT_EQ(done({"fasta", set_, "--range", "7:7"}), "");
  const Json written = json({"fasta", set_, "--range", "3:5", "--output", root_ / "two.fasta"});
  EXPECT_EQ(written.at("sequences"), 2);
  EXPECT_EQ(bytes_of_file(root_ / "two.fasta"), done({"fasta", set_, "--range", "3:5"}));
}

// prepare → fasta → prepare, compressed: the same records again.
TEST_F(DataVerbs, RoundTripThroughCompressedFasta) {
  done({"prepare", "--input", input_, "--output", set_});
  for (const std::string name : {"out.fasta.gz", "out.fasta.zst"}) {
    done({"fasta", set_, "--output", root_ / name});
    done({"prepare", "--input", root_ / name, "--output", root_ / (name + "-set")});
    EXPECT_EQ(records(done({"fasta", root_ / (name + "-set")})), records(bytes_of_file(input_)));
  }
}

TEST_F(DataVerbs, InfoHasTheDocumentedKeys) {
  done({"prepare", "--input", input_, "--output", set_, "--seed", "9"});
  const Json info = json({"info", set_, "--verify"});
  EXPECT_EQ(info.at("kind"), "dataset");
  EXPECT_EQ(info.at("sequences"), 100);
  EXPECT_EQ(info.at("tokens").get<int64_t>(), info.at("residues").get<int64_t>() + 200);
  EXPECT_EQ(info.at("shards"), 1);
  EXPECT_EQ(info.at("seed"), 9);
  EXPECT_EQ(info.at("max_length"), 3 + 70);
  EXPECT_EQ(info.at("residue_counts").at("M"), 100);
  EXPECT_EQ(info.at("verified"), true);
  int64_t bytes = 0;
  for (const auto& file : fs::directory_iterator(set_))
    if (file.path().filename() != "manifest.json") bytes += static_cast<int64_t>(file.file_size());
  EXPECT_EQ(info.at("bytes"), bytes);
  EXPECT_GT(info.at("unigram_entropy"), info.at("baseline_loss"));
  EXPECT_EQ(json({"info", set_}).at("verified"), false);
  EXPECT_THAT(done({"info", set_}),
              AllOf(HasSubstr("100"), HasSubstr("baseline loss"), HasSubstr("no (give --verify)")));
}

// What a run with data.sequences = 40 trains on.
TEST_F(DataVerbs, InfoCountsPrefixes) {
  done({"prepare", "--input", input_, "--output", set_});
  const int64_t residues =
      json({"fasta", set_, "--range", "0:40", "--output", root_ / "40.fasta"}).at("residues");
  const Json prefixes = json({"info", set_, "--prefix", "40", "--prefix", "100"}).at("prefixes");
  ASSERT_EQ(prefixes.size(), 2u);
  EXPECT_EQ(prefixes[0].at("residues"), residues);
  EXPECT_EQ(prefixes[0].at("tokens"), residues + 80);
  EXPECT_EQ(prefixes[1].at("tokens"), json({"info", set_}).at("tokens"));
  EXPECT_THAT(done({"info", set_, "--prefix", "40"}), HasSubstr("first 40"));
  EXPECT_THAT(failed(1, {"info", set_, "--prefix", "101"}), HasSubstr("1 to 100"));
}

// A set keeps its hash, and info shows what was attached.
TEST_F(DataVerbs, AReportIsAttachedToAHoldout) {
  done({"prepare", "--input", input_, "--output", set_});
  const Json before = json({"info", set_});
  const std::string report = root_ / "report.json";
  std::ofstream(report) << R"({"split": "far", "training_hash": "abc", "largest_identity": 0.4})";
  EXPECT_THAT(done({"prepare", "--output", set_, "--attach-report", report}), HasSubstr("(far)"));
  const Json info = json({"info", set_, "--verify"});
  EXPECT_EQ(info.at("hash"), before.at("hash"));
  EXPECT_EQ(info.at("split"), "far");
  EXPECT_EQ(info.at("holdout_report").at("training_hash"), "abc");
  EXPECT_THAT(failed(2, {"prepare", "--input", input_, "--output", set_, "--attach-report", report}),
              HasSubstr("--attach-report"));
  std::ofstream(report) << "[]";
  EXPECT_THAT(failed(1, {"prepare", "--output", set_, "--attach-report", report}),
              HasSubstr("training_hash"));
  EXPECT_THAT(failed(1, {"prepare", "--output", set_, "--attach-report", root_ / "absent"}),
              HasSubstr("absent"));
}

TEST_F(DataVerbs, KeptOrderGivesBackWhatFastaWrote) {
  done({"prepare", "--input", input_, "--output", set_});
  done({"fasta", set_, "--output", root_ / "all.fasta"});
  done({"prepare", "--input", root_ / "all.fasta", "--keep-order", "--output", root_ / "again"});
  EXPECT_EQ(done({"fasta", root_ / "again"}), done({"fasta", set_}));
}

TEST_F(DataVerbs, InfoNamesDamage) {
  done({"prepare", "--input", input_, "--output", set_});
  {
    std::fstream shard(fs::path(set_) / "shard-00000.zst", std::ios::in | std::ios::out | std::ios::binary);
    shard.seekp(300);
    shard.put('\x7e');
  }
  EXPECT_EQ(run({"info", set_}).status, 0);
  EXPECT_THAT(failed(1, {"info", set_, "--verify"}), HasSubstr("shard-00000.zst"));
  EXPECT_THAT(failed(1, {"fasta", set_}), HasSubstr("shard-00000.zst"));
  fs::remove(fs::path(set_) / "manifest.json");
  EXPECT_THAT(failed(1, {"info", set_}), HasSubstr("interrupted prepare"));
}

TEST_F(DataVerbs, ADataSetIsNoFolderForResults) {
  done({"prepare", "--input", input_, "--output", set_});
  fs::create_symlink(set_, root_ / "link");
  for (const std::string& file :
       {set_ + "/manifest.json", set_ + "/new.fasta", (root_ / "link/shard-00000.zst").string()})
    EXPECT_THAT(failed(2, {"fasta", set_, "--output", file}), HasSubstr("found a data set")) << file;
  EXPECT_THAT(failed(1, {"fasta", set_, "--output", set_}), HasSubstr("a folder"));
  EXPECT_THAT(failed(2, {"fit", root_ / "runs", "--output", set_}), HasSubstr("found a data set"));
  EXPECT_THAT(failed(2, {"logits", "--checkpoint", root_ / "run", "--input", input_, "--output",
                         set_ + "/manifest.json"}),
              HasSubstr("found a data set"));
  EXPECT_THAT(failed(2, {"study", "plan", set_, "--isoflop", "1e18"}), HasSubstr("found a data set"));
  done({"info", set_, "--verify"});
  EXPECT_FALSE(fs::exists(set_ + "/new.fasta"));
  // Beside it is fine.
  done({"fasta", set_, "--output", set_ + "/../beside.fasta"});
}

// Oracle: the bounds of 64 bits.
TEST_F(DataVerbs, NumbersThatDoNotFitAreRefused) {
  for (const std::string seed : {"18446744073709551616", "99999999999999999999999", "-1", "1.5", "7x"})
    EXPECT_THAT(
        failed(2, {"prepare", "--input", input_, "--output", set_, "--seed", seed}),
        HasSubstr("--seed: expected a whole number from 0 to 18446744073709551615, found '" + seed + "'"));
  for (const std::string flag : {"--limit", "--holdout", "--min-length", "--eval-length"})
    EXPECT_THAT(failed(2, {"prepare", "--input", input_, "--output", set_, flag, "9223372036854775808"}),
                HasSubstr(flag + ": expected a whole number from 0 to 9223372036854775807"));
  EXPECT_FALSE(fs::exists(set_));
  done({"prepare", "--input", input_, "--output", set_, "--seed", "18446744073709551615"});
  EXPECT_EQ(json({"info", set_}).at("seed"), UINT64_MAX);
}

TEST_F(DataVerbs, TablesAreReadByColumnNames) {
  const std::string table = root_ / "table.csv";
  std::ofstream(table) << "accession,sequence\nA1,MKV\nA2,MKLL\n";
  EXPECT_THAT(failed(1, {"prepare", "--input", table, "--output", set_}), HasSubstr("--sequence-column"));
  done({"prepare", "--input", table, "--output", set_, "--sequence-column", "sequence", "--id-column",
        "accession"});
  EXPECT_EQ(records(done({"fasta", set_})), (std::vector<std::string>{">A1\nMKV", ">A2\nMKLL"}));
  EXPECT_THAT(failed(2, {"prepare", "--input", table, "--output", set_, "--force", "--id-column", "x"}),
              HasSubstr("--sequence-column"));
}

// No dump of JSON in a sentence.
TEST_F(DataVerbs, NothingToKeepIsSaidInWords) {
  const std::string fasta = root_ / "short.fasta";
  std::ofstream(fasta) << ">a\nMKV\n>b\n";
  EXPECT_THAT(failed(1, {"prepare", "--input", fasta, "--output", set_, "--min-length", "9"}),
              HasSubstr("found none: records 2, of them empty 1, too_short 1;"));
}

TEST_F(DataVerbs, WrongUseAndBadInputHaveTheirCodes) {
  EXPECT_THAT(failed(2, {"prepare", "--input", input_}), HasSubstr("--output"));
  EXPECT_THAT(failed(2, {"prepare", "--input", input_, "--output", set_, "--holdout", "3"}),
              HasSubstr("--holdout-output"));
  EXPECT_THAT(failed(2, {"prepare", "--input", input_, "--output", set_, "--memory", "lots"}),
              HasSubstr("--memory"));
  EXPECT_THAT(failed(2, {"prepare", "--input", input_, "--output", set_, "--dedup"}),
              HasSubstr("--deduplicate"));
  EXPECT_THAT(failed(1, {"prepare", "--input", input_, "--output", set_, "--limit", "101"}),
              HasSubstr("--limit"));
  EXPECT_THAT(failed(1, {"prepare", "--input", root_ / "absent", "--output", set_}), HasSubstr("absent"));
  EXPECT_FALSE(fs::exists(set_));
  done({"prepare", "--input", input_, "--output", set_});
  EXPECT_THAT(failed(1, {"prepare", "--input", input_, "--output", set_}), HasSubstr("--force"));
  for (const std::string range : {"5", "a:b", "3:2", "0:101", "-1:4", "1:2:3"})
    EXPECT_THAT(failed(2, {"fasta", set_, "--range=" + range}), HasSubstr("--range")) << range;
  EXPECT_THAT(run({"fasta", set_, "--json"}).err, HasSubstr("--output"));
  EXPECT_THAT(failed(1, {"fasta", set_, "--output", root_ / "no/folder.fasta"}), HasSubstr("folder.fasta"));
  EXPECT_THAT(failed(1, {"fasta", root_.path()}), HasSubstr("manifest.json"));
}

}  // namespace
}  // namespace esmscale::cli
