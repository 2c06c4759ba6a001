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
