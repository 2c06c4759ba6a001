// The way from arguments to an exit code.
#include "cli/process.h"
#include "cli/small_run.h"
#include "esmscale/core/text.h"

#include <cstdlib>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Program, MisspeltNamesGetTheNearest) {
  EXPECT_THAT(refusal_of(2, {"trian", "--config", "x.json"}), HasSubstr("'train'"));
  EXPECT_THAT(refusal_of(2, {"train", "--confg", "x.json"}), HasSubstr("'--config'"));
  EXPECT_THAT(refusal_of(2, {"eval", "--checkpiont=x"}), HasSubstr("'--checkpoint'"));
  EXPECT_THAT(refusal_of(2, {"config", "--shema"}), HasSubstr("'--schema'"));
  EXPECT_THAT(refusal_of(2, {"info", "--verfy", "x"}), HasSubstr("'--verify'"));
}

TEST(Program, WrongUsageIsTwo) {
  EXPECT_THAT(refusal_of(2, {}), HasSubstr("--help"));
  EXPECT_THAT(refusal_of(2, {"qqqqqqqqqqqq"}), HasSubstr("--help"));
  EXPECT_THAT(refusal_of(2, {"train"}), HasSubstr("--config"));
  EXPECT_THAT(refusal_of(2, {"info"}), HasSubstr("PATH"));
  EXPECT_THAT(refusal_of(2, {"config", "--threads", "-1"}), HasSubstr("--threads"));
  EXPECT_THAT(refusal_of(2, {"config", "--log-level", "loud"}),
              AllOf(HasSubstr("loud"), HasSubstr("warning")));
}

TEST(Program, AllThatIsWrongIsListedAtOnce) {
  EXPECT_THAT(refusal_of(2, {"trian", "--config", "x.json"}),
              HasSubstr("error: esmscale: unknown verb 'trian' (did you mean 'train'?)"));
  EXPECT_THAT(refusal_of(2, {"prepare", "--inptu", "x", "--hodlout", "3", "--min-length", "many"}),
              AllOf(HasSubstr("unknown flag --inptu (did you mean '--input'?)"),
                    HasSubstr("unknown flag --hodlout (did you mean '--holdout'?)"),
                    HasSubstr("--output is required"), HasSubstr("many")));
  EXPECT_THAT(refusal_of(2, {"train", "quickstart"}),
              AllOf(HasSubstr("unexpected 'quickstart'"), HasSubstr("--config is required")));
  EXPECT_THAT(refusal_of(2, {"study", "rnu", "x"}),
              AllOf(HasSubstr("unknown action 'rnu'"), HasSubstr("did you mean 'run'?")));
  EXPECT_THAT(refusal_of(2, {"count-flops", "--set", "model.layers=1", "--set", "model.width=64"}),
              HasSubstr("count-flops: unknown flag --set; see"))
      << "once, and nothing of its values";
  EXPECT_THAT(run({"prepare", "--help"}).out, HasSubstr("esmscale prepare [OPTIONS]"));
}

// stdout is one document whatever happens.
TEST(Program, FailuresAreDocumentsUnderJson) {
  for (const auto& [arguments, code] : {std::pair{Arguments{"info", "/no/such/folder", "--json"}, 1},
                                        {Arguments{"--json", "info", "/no/such/folder"}, 1},
                                        {Arguments{"train", "--json"}, 2},
                                        {Arguments{"trian", "--json"}, 2}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, code);
    const Json error = parse_json(outcome.out, "stdout").at("error");
    for (const char* key : {"where", "expected", "found", "advice"})
      EXPECT_TRUE(error.at(key).is_string()) << key;
    EXPECT_EQ(error.at("exit_code"), code);
    EXPECT_TRUE(outcome.err.starts_with("error: "));
  }
  const Json error = parse_json(run({"info", "/no/such/folder", "--json"}).out, "stdout").at("error");
  EXPECT_EQ(error.at("where"), "/no/such/folder");
  EXPECT_EQ(error.at("found"), "nothing there");
}

TEST(Program, FailureIsOne) {
  EXPECT_THAT(refusal_of(1, {"info", "/no/such/folder"}), HasSubstr("/no/such/folder"));
}

TEST(Program, EveryVerbHasHelpWithAnExample) {
  for (const Verb& verb : verbs()) {
    const Outcome outcome = run({verb.name, "--help"});
    EXPECT_EQ(outcome.status, 0) << verb.name;
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, HasSubstr("Example:\n  esmscale " + std::string(verb.name) + " "));
    if (verb.name == std::string("study")) continue;  // its actions have the flags
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("--json"), HasSubstr("--log-level"), HasSubstr("--threads")));
  }
  for (const char* action : {"plan", "run", "status", "retry", "select"})
    EXPECT_THAT(run({"study", action, "--help"}).out,
                AllOf(HasSubstr(text("Example:\n  esmscale study ", action)), HasSubstr("--json"),
                      HasSubstr("--log-level"), HasSubstr("--threads")));
  const std::string all = run({"--help"}).out;
  for (const Verb& verb : verbs()) EXPECT_THAT(all, HasSubstr(verb.name));
}

TEST(Program, CommonFlagsMayStandBeforeTheVerb) {
  EXPECT_EQ(run({"--json", "config", "train.seed"}).out, run({"config", "train.seed", "--json"}).out);
  EXPECT_EQ(run({"config", "--version"}).out, run({"--version"}).out);
}

TEST(Program, VersionSaysWhatItStandsOn) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("esmscale "), HasSubstr("LibTorch ")));
  for (const Arguments& arguments : {Arguments{"--version", "--json"}, {"--json", "info", "--version"}}) {
    const Json json = parse_json(run(arguments).out, "stdout");
    for (const char* key : {"version", "revision", "libtorch"})
      EXPECT_THAT(outcome.out, HasSubstr(json[key].get<std::string>()));
    EXPECT_EQ(json["cuda"].is_null(), outcome.out.ends_with("CPU only\n"));
  }
}

// What libgomp has read is what it prints. A choice of the user's stays.
TEST(Program, ThreadsSpinBrieflyUnlessTheUserChoseOtherwise) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitized program does not start itself again";
#endif
  const TemporaryFolder folder;
  ::unsetenv("GOMP_SPINCOUNT");
  ::unsetenv("OMP_WAIT_POLICY");
  const auto spin_count = [&](std::vector<std::string> environment) {
    environment.emplace_back("OMP_DISPLAY_ENV=VERBOSE");
    Process version(folder / "version", {"--version"}, environment);
    EXPECT_EQ(version.wait(), 0);
    const std::string shown = version.err();
    const size_t begin = shown.find("GOMP_SPINCOUNT");
    return begin == std::string::npos ? "not shown" : shown.substr(begin, shown.find('\n', begin) - begin);
  };
  EXPECT_EQ(spin_count({}), "GOMP_SPINCOUNT = '1000'");
  EXPECT_EQ(spin_count({"GOMP_SPINCOUNT=7"}), "GOMP_SPINCOUNT = '7'");
  EXPECT_NE(spin_count({"OMP_WAIT_POLICY=active"}), "GOMP_SPINCOUNT = '1000'");
}

}  // namespace
}  // namespace esmscale::cli
