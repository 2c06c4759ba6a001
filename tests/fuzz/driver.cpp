// fuzz [READER…] [--seconds S] [--seed N] [--keep DIR]: changed files for each reader, S seconds each.
// fuzz --list: the readers. fuzz READER --input FILE: one file as it is, in the folder of each seed.
//
// The inputs are read in a child process. Input i of a seed is always the same, so the parent can write down
// the one of which a child died, and starts another child after it. Exit code 1: there were findings.
#include "esmscale/core/child.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "fuzz/mutate.h"
#include "fuzz/sandbox.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <thread>

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale::fuzz {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kHangs{30};
constexpr int kMostFindings = 10;
constexpr rlim_t kMemory =
    rlim_t{3} << 30;       // what a small hostile file makes a reader take beyond this is a finding
constexpr int kFound = 3;  // exit code of a child that met a wrong exception

struct Options {
  std::vector<std::string> names;
  double seconds = 5;
  uint64_t seed = 1;
  fs::path keep = "fuzz-findings", input;
  bool lists = false;
};

// Shared by the parent and its child.
struct Progress {
  std::atomic<uint64_t> next{0}, read{0}, refused{0};
  char words[512] = {};  // of a wrong exception
};

struct Input {
  const Seed* seed;
  std::string content;
};

// The first inputs are the seeds themselves.
Input input_of(const std::vector<Seed>& seeds, const std::vector<std::string>& contents, uint64_t seed,
               uint64_t number) {
  if (number < seeds.size()) return {&seeds[number], seeds[number].content};
  std::seed_seq mixed{seed, seed >> 32, number, number >> 32};
  std::mt19937_64 random(mixed);
  const Seed& from = seeds[random() % seeds.size()];
  return {&from, mutated(from.content, contents, random)};
}

class Campaign {
 public:
  Campaign(const Reader& reader, const Options& options)
      : reader_(reader), options_(options), seeds_(seeds_of(reader)) {
    for (const Seed& seed : seeds_) contents_.push_back(seed.content);
    void* shared =
        ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::runtime_error("no shared memory");
    progress_ = new (shared) Progress;
  }
  ~Campaign() {
    ::munmap(progress_, sizeof(Progress));
    discard(root_);  // what a child left that died
  }
  Campaign(const Campaign&) = delete;
  Campaign& operator=(const Campaign&) = delete;

  int run() {
    const auto begin = Clock::now();
    end_ =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
    int findings = 0;
    while (!is_over() && findings < kMostFindings) findings += run_child();
    std::cout << text(reader_.name, ": ", progress_->next.load(), " inputs in ",
                      fixed(std::chrono::duration<double>(Clock::now() - begin).count(), 1), " s, ",
                      progress_->read.load(), " read, ", progress_->refused.load(), " refused, ", findings,
                      " findings (seed ", options_.seed, ")")
              << std::endl;
    return findings;
  }

 private:
  bool is_over() const { return Clock::now() >= end_ && progress_->next.load() >= seeds_.size(); }

  // 1 for a finding.
  int run_child() {
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("cannot fork");
    if (child == 0) ::_exit(read_inputs());
    int status = 0;
    uint64_t seen = progress_->next.load();
    auto seen_at = Clock::now();
    bool hangs = false;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (const uint64_t now = progress_->next.load(); now != seen) {
        seen = now;
        seen_at = Clock::now();
      } else if (Clock::now() - seen_at > kHangs && !hangs) {
        hangs = true;
        ::kill(child, SIGKILL);
      }
    }
    if (status == 0) return 0;
    const bool is_exception = WIFEXITED(status) && WEXITSTATUS(status) == kFound;
    note(hangs          ? text("it hangs for ", kHangs.count(), " s")
         : is_exception ? progress_->words
                        : ending_words(status));
    progress_->next.fetch_add(1);
    return 1;
  }

  void note(const std::string& what) const {
    const uint64_t number = progress_->next.load();
    const Input input = input_of(seeds_, contents_, options_.seed, number);
    make_folder(options_.keep);
    const fs::path file = options_.keep / text(reader_.name, "-", options_.seed, "-", number);
    write_file(file, input.content);
    std::cout << text("finding: ", reader_.name, " of ", input.seed->folder.filename().string(), ", input ",
                      number, ": ", what, "; kept in ", file.string())
              << std::endl;
  }

  // The lowest free one: it rises where a reader leaves a file open.
  static int next_descriptor() {
    const int descriptor = ::dup(STDOUT_FILENO);
    ::close(descriptor);
    return descriptor;
  }

  // The child's exit code.
  int read_inputs() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const rlimit memory{.rlim_cur = kMemory, .rlim_max = kMemory};
    ::setrlimit(RLIMIT_DATA, &memory);
#endif
    set_log_level(LogLevel::off);
    Sandbox sandbox(reader_, root_);
    int free_descriptor = -1;  // after the first input, which may open what stays open
    for (; !is_over(); progress_->next.fetch_add(1)) {
      const uint64_t number = progress_->next.load();
      const Input input = input_of(seeds_, contents_, options_.seed, number);
      try {
        const Outcome outcome = sandbox.run(*input.seed, input.content);
        const bool is_good =
            number < seeds_.size() && !input.seed->folder.filename().string().starts_with("failed");
        if (is_good && outcome != Outcome::read) throw std::logic_error("a good seed is refused");
        (outcome == Outcome::read ? progress_->read : progress_->refused).fetch_add(1);
        if (free_descriptor < 0) free_descriptor = next_descriptor();
        if (next_descriptor() > free_descriptor) throw std::logic_error("a file is left open");
      } catch (const std::logic_error& finding) {
        std::string(finding.what()).copy(progress_->words, sizeof progress_->words - 1);
        return kFound;
      }
    }
    return 0;
  }

  const Reader& reader_;
  const Options& options_;
  const std::vector<Seed> seeds_;
  std::vector<std::string> contents_;
  const fs::path root_ = sandbox_root();
  Progress* progress_;
  Clock::time_point end_{};
};

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const auto value = [&] {
      return i + 1 < arguments.size() ? arguments[++i] : throw std::runtime_error(argument + ": no value");
    };
    if (argument == "--seconds")
      options.seconds = std::stod(value());
    else if (argument == "--seed")
      options.seed = std::stoull(value());
    else if (argument == "--keep")
      options.keep = value();
    else if (argument == "--input")
      options.input = value();
    else if (argument == "--list")
      options.lists = true;
    else if (argument.starts_with("-"))
      throw std::runtime_error(argument + ": unknown; --list, --seconds, --seed, --keep, --input");
    else
      options.names.push_back(argument);
  }
  return options;
}

int run(const Options& options) {
  const std::vector<Reader> all = readers();
  const auto is_wanted = [&](const Reader& reader) {
    return options.names.empty() ||
           std::find(options.names.begin(), options.names.end(), reader.name) != options.names.end();
  };
  int findings = 0, chosen = 0;
  for (const Reader& reader : all) {
    if (!is_wanted(reader)) continue;
    ++chosen;
    if (options.lists) {
      std::cout << reader.name << "\n";
    } else if (options.input.empty()) {
      findings += Campaign(reader, options).run();
    } else {
      Sandbox sandbox(reader, sandbox_root());
      for (const Seed& seed : seeds_of(reader)) {
        const Outcome outcome = sandbox.run(seed, read_file(options.input));
        std::cout << seed.folder.filename().string() << ": "
                  << (outcome == Outcome::read ? "read" : "refused: " + sandbox.refusal()) << std::endl;
      }
    }
  }
  if (chosen == 0) throw std::runtime_error("no such reader; --list names them");
  return findings > 0 ? 1 : 0;
}

}  // namespace
}  // namespace esmscale::fuzz

int main(int argc, char** argv) {
  try {
    return esmscale::fuzz::run(esmscale::fuzz::parse({argv + 1, argv + argc}));
  } catch (const std::exception& problem) {
    std::cerr << "error: " << problem.what() << std::endl;
    return 2;
  }
}
