// Completion scripts and manual pages. Oracle: the shells themselves, where they are installed.
#include "cli/small_run.h"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

bool is_installed(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

class Completion : public ::testing::Test {
 protected:
  std::string script(const std::string& shell) {
    const Outcome outcome = run({"completion", shell});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const std::string path = folder_ / shell;
    std::ofstream(path) << outcome.out;
    return path;
  }
  // What bash offers after these words, the last of which is being written.
  std::string offered(const std::string& words, int last) {
    const std::string answer = folder_ / "answer";
    const std::string command = "bash -c 'source " + script("bash") + "; COMP_WORDS=(" + words +
                                "); COMP_CWORD=" + std::to_string(last) +
                                "; _esmscale; printf \"%s \" \"${COMPREPLY[@]}\"' >" + answer + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return " " + read_file(answer);
  }

  TemporaryFolder folder_;
};

TEST_F(Completion, BashOffersVerbsFlagsKeysAndPresets) {
  EXPECT_THAT(offered("esmscale tr", 1), AllOf(HasSubstr(" train "), Not(HasSubstr(" eval "))));
  EXPECT_THAT(offered("esmscale train --bra", 2), HasSubstr(" --branch-from "));
  EXPECT_THAT(offered("esmscale train --set optimizer.l", 3), HasSubstr(" optimizer.lr= "));
  EXPECT_THAT(offered("esmscale train --config esm2_8", 3), HasSubstr(" esm2_8M "));
  EXPECT_THAT(offered("esmscale study re", 2), HasSubstr(" retry "));
  EXPECT_THAT(offered("esmscale study run --jo", 3), HasSubstr(" --jobs "));
}

TEST_F(Completion, OtherShellsReadTheirScripts) {
  const std::string zsh = script("zsh"), fish = script("fish");
  EXPECT_THAT(read_file(zsh), AllOf(HasSubstr("#compdef esmscale"), HasSubstr("optimizer.lr=")));
  EXPECT_THAT(read_file(fish), AllOf(HasSubstr("-l branch-from"), HasSubstr("optimizer.lr=")));
  const auto accepts = [](const std::string& shell, const std::string& command) {
    return !is_installed(shell) || std::system(command.c_str()) == 0;
  };
  EXPECT_TRUE(accepts("zsh", "zsh -n " + zsh));
  EXPECT_TRUE(accepts("fish", "fish --no-execute " + fish));
  EXPECT_THAT(refusal_of(2, {"completion", "tcsh"}), HasSubstr("tcsh"));
}

TEST(Manual, EveryVerbAndActionHasAPage) {
  const TemporaryFolder folder;
  const std::string pages = folder / "man1";
  EXPECT_GT(json_of({"manual", "--output", pages})["pages"].get<int>(), static_cast<int>(verbs().size()));
  for (const Verb& verb : verbs()) {
    const std::string page = read_file(pages + "/esmscale-" + verb.name + ".1");
    EXPECT_THAT(page, AllOf(HasSubstr(".SH NAME"), HasSubstr(".SH OPTIONS"), HasSubstr(".SH EXAMPLE")));
    if (!is_installed("groff")) continue;
    EXPECT_EQ(std::system(("groff -k -man -ww -z " + pages + "/esmscale-" + verb.name + ".1").c_str()), 0);
  }
  EXPECT_EQ(run({"manual", "study", "run"}).out, read_file(pages + "/esmscale-study-run.1"));
  EXPECT_THAT(refusal_of(2, {"manual", "trian"}), HasSubstr("'train'"));
}

}  // namespace
}  // namespace esmscale::cli
