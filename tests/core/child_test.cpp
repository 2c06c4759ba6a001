#include "esmscale/core/child.h"

#include "esmscale/core/files/files.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ChildCommand shell(const std::string& line) {
  return {.program = "sh", .arguments = {"-c", line}, .environment = {}, .out = {}, .err = {}};
}

int ended(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(Child, SaysHowItEnded) {
  const BlockedSignals signals;
  EXPECT_EQ(ending_words(ended(start_child(shell("exit 3"), signals))), "ended with exit code 3");
  EXPECT_THAT(ending_words(ended(start_child(shell("kill -9 $$"), signals))),
              AllOf(HasSubstr("was killed by signal 9"), HasSubstr("out of memory?")));
  // Held signals are ours alone: a child that sends itself one ends of it.
  EXPECT_THAT(ending_words(ended(start_child(shell("kill -TERM $$; sleep 5"), signals))),
              HasSubstr("signal 15"));
}

TEST(Child, WordsAreAppendedAndTheEnvironmentIsWhatIsGiven) {
  const TemporaryFolder folder;
  const BlockedSignals signals;
  ChildCommand command = shell("echo $WORD; echo problem >&2");
  command.environment = {"WORD=first", "PATH=/usr/bin:/bin"};
  command.out = command.err = folder / "log";
  ended(start_child(command, signals));
  command.environment.front() = "WORD=second";
  command.err = folder / "errors";
  ended(start_child(command, signals));
  EXPECT_EQ(read_file(folder / "log"), "first\nproblem\nsecond\n");
  EXPECT_EQ(read_file(folder / "errors"), "problem\n");
}

TEST(Child, SignalsWaitUntilTheyAreFetched) {
  const BlockedSignals signals;
  ::raise(SIGTERM);
  EXPECT_EQ(signals.poll(), SIGTERM);
  EXPECT_EQ(signals.poll(), 0);
  size_t another = 0;  // who listens beside hears it too
  EXPECT_EQ(signals.poll(another), SIGTERM);
  EXPECT_EQ(signals.poll(another), 0);
}

// A terminal's Ctrl-C goes to a group: the child is in another one.
TEST(Child, HasAProcessGroupOfItsOwn) {
  const BlockedSignals signals;
  const pid_t child = start_child(shell("sleep 5"), signals);
  EXPECT_EQ(::getpgid(child), child);
  ::kill(child, SIGKILL);
  ended(child);
}

// Oracle: the parent is killed and cannot act; only the kernel can end the grandchild.
TEST(Child, EndsWithTheProcessThatStartedIt) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    const BlockedSignals signals;
    const pid_t child = start_child({.program = "sleep",
                                     .arguments = {"60"},
                                     .environment = {},
                                     .out = {},
                                     .err = {},
                                     .signal_at_our_end = SIGTERM},
                                    signals);
    if (::write(ends[1], &child, sizeof child) != sizeof child) ::_exit(1);
    ::pause();
  }
  pid_t child = 0;
  ASSERT_EQ(::read(ends[0], &child, sizeof child), ssize_t{sizeof child});
  ::kill(parent, SIGKILL);
  ended(parent);
  // The child keeps the pipe's writing end open until it ends.
  ::close(ends[1]);
  char nothing = 0;
  EXPECT_EQ(::read(ends[0], &nothing, 1), 0);
  ::close(ends[0]);
}

TEST(Child, OneThatIsNotThere) {
  const BlockedSignals signals;
  EXPECT_THAT(error_of([&] { start_child({.program = "no-such-program", .arguments = {}}, signals); }),
              AllOf(HasSubstr("no-such-program"), HasSubstr("PATH")));
}

}  // namespace
}  // namespace esmscale
