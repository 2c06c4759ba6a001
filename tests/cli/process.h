// The program as a process of its own, with its words in files.
#pragma once

#include "esmscale/core/files/files.h"
#include "support/paths.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale::cli {

// Polls until it holds or the seconds are over.
inline bool comes_true(double seconds, const std::function<bool()>& condition) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

class Process {
 public:
  // stdout and stderr go to NAME.out and NAME.err; `environment` (NAME=value) adds to ours.
  Process(const std::filesystem::path& name, std::vector<std::string> arguments,
          std::vector<std::string> environment = {})
      : name_(name) {
    arguments.insert(arguments.begin(), test_program());
    for (char** entry = ::environ; *entry; ++entry) environment.emplace_back(*entry);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, (name_.string() + ".out").c_str(), flags, 0600);
    ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, (name_.string() + ".err").c_str(), flags, 0600);
    if (::posix_spawn(&id_, test_program().c_str(), &files, nullptr, pointers(arguments).data(),
                      pointers(environment).data()) != 0)
      id_ = 0;
    ::posix_spawn_file_actions_destroy(&files);
  }
  ~Process() {
    if (status_ == kRunning && id_ > 0) {
      ::kill(id_, SIGKILL);
      ::waitpid(id_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  static constexpr int kRunning = -1;

  // Its exit code, 128 + the signal that killed it, or kRunning when it still runs after `seconds`.
  int wait(double seconds = 60) {
    comes_true(seconds, [&] {
      int ended = 0;
      if (status_ == kRunning && ::waitpid(id_, &ended, WNOHANG) == id_)
        status_ = WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
      return status_ != kRunning;
    });
    return status_;
  }
  void kill(int signal) const { ::kill(id_, signal); }
  pid_t id() const { return id_; }

  // The processes that it has started, oldest first. Files under /proc have no size.
  std::vector<pid_t> children() const {
    std::vector<pid_t> ids;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "stat");
      std::string stat;
      if (!std::getline(file, stat)) continue;
      std::istringstream after_name(stat.substr(stat.rfind(')') + 1));
      std::string state;
      pid_t parent = 0;
      if (after_name >> state >> parent && parent == id_) ids.push_back(std::stoi(entry.path().filename()));
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  std::string out() const { return read_file(name_.string() + ".out"); }
  std::string err() const { return read_file(name_.string() + ".err"); }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> all;
    for (std::string& one : strings) all.push_back(one.data());
    all.push_back(nullptr);
    return all;
  }

  std::filesystem::path name_;
  pid_t id_ = 0;
  int status_ = kRunning;
};

}  // namespace esmscale::cli
