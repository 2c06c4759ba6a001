#include "esmscale/core/stop_signal.h"

#include "support/sanitizers.h"

#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale {
namespace {

using namespace std::chrono_literals;

// A child that runs `work` and exits with what it returns.
class Child {
 public:
  explicit Child(const std::function<int()>& work) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(work());
  }
  void kill(int signal) const { ::kill(pid_, signal); }
  bool runs() { return ::waitpid(pid_, &status_, WNOHANG) == 0; }
  int wait() {
    ::waitpid(pid_, &status_, 0);
    return status_;
  }

 private:
  pid_t pid_;
  int status_ = 0;
};

TEST(StopSignal, EachOneIsTakenAndNamed) {
  for (const int signal : kStopSignals) {
    const StopSignal stop;
    EXPECT_FALSE(stop.is_raised());
    ::raise(signal);
    EXPECT_TRUE(stop.is_raised());
    EXPECT_EQ(std::string(stop.name()), std::string("SIG") + ::sigabbrev_np(signal));
  }
}

// As nohup leaves it.
TEST(StopSignal, AnIgnoredHangUpStaysIgnored) {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  {
    const StopSignal stop;
    ::raise(SIGHUP);
    EXPECT_FALSE(stop.is_raised());
  }
  ::signal(SIGHUP, before);
}

// Oracle: the times of the header. The child never finishes its step.
TEST(StopSignal, ASecondInterruptEndsAtOnceAfterTwoSeconds) {
  if (kDelaysSignals) GTEST_SKIP() << "signals are taken late in a program that watches its threads";
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Child child([&ends] {
    const StopSignal stop;
    if (::write(ends[1], "", 1) != 1) return 1;
    for (int i = 0; i < 600; ++i) std::this_thread::sleep_for(100ms);
    return 0;
  });
  char installed = 0;  // the byte says that the handlers are
  ::close(ends[1]);
  ASSERT_EQ(::read(ends[0], &installed, 1), 1);
  ::close(ends[0]);
  child.kill(SIGINT);
  std::this_thread::sleep_for(300ms);
  child.kill(SIGINT);  // a key held down, or a second sender
  std::this_thread::sleep_for(300ms);
  ASSERT_TRUE(child.runs()) << "ended within the two seconds";
  std::this_thread::sleep_for(2s);
  child.kill(SIGINT);
  const int status = child.wait();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

}  // namespace
}  // namespace esmscale
