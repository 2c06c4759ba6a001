// What is there is replaced with --force only, by every verb that writes. Oracle: the bytes of the file that
// was there, and the names in its folder.
#include "cli/small_run.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// What the verbs read; one training serves all.
class Inputs {
 public:
  Inputs() : trained(small.trained("run")) {
    write_file(small.path("in.fasta"), ">p\nMKTAYIAKQR\n");
    write_file(small.path("points.csv"), "parameters,tokens,loss\n1e6,1e8,3\n2e6,1e8,2.9\n4e6,1e8,2.85\n");
    write_file(small.path("assay.csv"), "mutant\nM1A\nK2A\n");
    EXPECT_EQ(
        run({"study", "arms", study(), "--base", small.config(), "--vary", "optimizer.lr=0.01,0.02"}).status,
        0);
  }
  static const Inputs& get() {
    static const Inputs inputs;
    return inputs;
  }
  std::string study() const { return small.path("arms"); }
  Arguments of_model(const char* verb) const {
    return {verb, "--checkpoint", trained, "--threads", "1", "--device", "cpu", "--log-level", "error"};
  }

  const SmallRun small;
  const std::string trained;
};

struct Case {
  const char* name;
  Arguments (*command)(const Inputs&, const std::string& output);
  const char* output;              // below a folder that is empty
  std::vector<std::string> taken;  // names that the verb writes, below the same folder
};

Arguments fit(const Inputs& inputs, const std::string& output) {
  return {"fit",      "--points", inputs.small.path("points.csv"), "--bootstrap", "0", "--log-level", "error",
          "--output", output};
}

const std::vector<Case> kCases{
    {"plan",
     [](const Inputs&, const std::string& output) {
       return Arguments{"plan", "--flops", "1e20", "--log-level", "error", "--output", output};
     },
     "out",
     {"out/plan.json", "out/array.sbatch", "out/configs/plan.json"}},
    {"assess",
     [](const Inputs&, const std::string& output) {
       return Arguments{"assess", "--log-level", "error", "--output", output};
     },
     "a.svg",
     {"a.svg"}},
    {"fasta",
     [](const Inputs& inputs, const std::string& output) {
       return Arguments{"fasta", inputs.small.train_set.folder(), "--output", output};
     },
     "a.fasta",
     {"a.fasta"}},
    {"logits",
     [](const Inputs& inputs, const std::string& output) {
       return inputs.of_model("logits") +
              Arguments{"--input", inputs.small.path("in.fasta"), "--output", output};
     },
     "a.safetensors",
     {"a.safetensors"}},
    {"eval",
     [](const Inputs& inputs, const std::string& output) {
       return inputs.small.eval({"--checkpoint", inputs.trained, "--per-sequence", output});
     },
     "a.tsv",
     {"a.tsv"}},
    {"score",
     [](const Inputs& inputs, const std::string& output) {
       return inputs.of_model("score") + Arguments{"--assay",    inputs.small.path("assay.csv"),
                                                   "--sequence", "MKTAYIAKQR",
                                                   "--output",   output};
     },
     "a.csv",
     {"a.csv"}},
    {"contacts",
     [](const Inputs& inputs, const std::string& output) {
       return inputs.of_model("contacts") +
              Arguments{"--input", inputs.small.path("in.fasta"), "--output", output};
     },
     "out",
     {"out/contacts.json", "out/p.npy", "out/p.svg"}},
    {"fit",
     fit,
     "out",
     {"out/laws.json", "out/report.html", "out/points.csv", "out/methods.txt", "out/references.bib",
      "out/tables/runs.csv", "out/assess.svg", "out/residuals.svg"}},
    {"bundle",
     [](const Inputs& inputs, const std::string& output) {
       return fit(inputs, inputs.small.path("laws")) + Arguments{"--bundle", output};
     },
     "a.tar.zst",
     {"a.tar.zst"}},
    {"effects",
     [](const Inputs& inputs, const std::string& output) {
       return Arguments{"study", "effects", inputs.study(), "--output", output};
     },
     "a.html",
     {"a.html"}},
    {"report",
     [](const Inputs& inputs, const std::string& output) {
       return Arguments{"report", inputs.trained, "--output", output};
     },
     "a.html",
     {"a.html"}},
    {"watch",
     [](const Inputs& inputs, const std::string& output) {
       return Arguments{"report", inputs.trained, "--watch", "--log-level", "error", "--output", output};
     },
     "a.html",
     {"a.html"}},
    {"manual",
     [](const Inputs&, const std::string& output) {
       return Arguments{"manual", "--output", output};
     },
     "out",
     {"out/esmscale.1", "out/esmscale-study-plan.1"}}};

class Force : public ::testing::TestWithParam<Case> {};

TEST_P(Force, IsNeededToReplaceWhatIsThere) {
  const Case& verb = GetParam();
  for (const std::string& taken : verb.taken) {
    const TemporaryFolder folder;
    make_folder(fs::path(folder / taken).parent_path());
    write_file(folder / taken, "mine");
    const Arguments command = verb.command(Inputs::get(), folder / verb.output);
    EXPECT_THAT(refusal_of(1, command), HasSubstr("--force")) << taken;
    EXPECT_EQ(read_file(folder / taken), "mine") << taken;
    EXPECT_EQ(std::count_if(fs::recursive_directory_iterator(folder.path()), {},
                            [](const fs::directory_entry& entry) { return entry.is_regular_file(); }),
              1)
        << taken;
    const Outcome forced = run(command + Arguments{"--force"});
    EXPECT_EQ(forced.status, 0) << forced.err;
    EXPECT_TRUE(!fs::exists(folder / taken) || read_file(folder / taken) != "mine") << taken;
    fs::remove_all(Inputs::get().small.path("laws"));
  }
}

INSTANTIATE_TEST_SUITE_P(OfEveryVerb, Force, ::testing::ValuesIn(kCases),
                         [](const auto& instance) { return std::string(instance.param.name); });

// A verb that learns to write gets a case above.
TEST(ForceFlag, IsAFlagOfEveryVerbThatCouldReplaceSomething) {
  const std::set<std::string> replace_nothing{"train", "import", "export", "doctor"};
  std::set<std::string> covered{"prepare", "embed"};  // by tests/data/prepare and embed_test.cpp
  for (const Case& one : kCases) covered.insert(one.name);
  for (const Verb& verb : verbs()) {
    const std::string name = verb.name, help = run({name, "--help"}).out;
    const auto has = [&](const char* flag) { return help.find(flag) != std::string::npos; };
    const bool writes = name == "eval" || (has("--output ") && !replace_nothing.contains(name));
    EXPECT_EQ(has("--force "), writes) << name;
    EXPECT_TRUE(!writes || covered.contains(name)) << name;
  }
}

// The page of a watch that ended is taken up by the next one, and by nothing else.
TEST(ForceFlag, APageOfAWatchIsTheWatchsOwn) {
  const Inputs& inputs = Inputs::get();
  const TemporaryFolder folder;
  const Arguments report{"report", inputs.trained, "--log-level", "error", "--output", folder / "a.html"};
  const Arguments watch = report + Arguments{"--watch"};
  ASSERT_EQ(run(watch).status, 0);
  EXPECT_EQ(run(watch).status, 0);
  EXPECT_THAT(refusal_of(1, report), HasSubstr("--force"));
  ASSERT_EQ(run(report + Arguments{"--force"}).status, 0);
  EXPECT_THAT(refusal_of(1, watch), HasSubstr("--force"));
}

}  // namespace
}  // namespace esmscale::cli
