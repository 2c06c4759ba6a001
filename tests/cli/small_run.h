// A tiny model, its data, and the program's own verbs to train and score it.
#pragma once

#include "cli/outcome.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json.h"
#include "support/protein_set.h"
#include "support/temporary.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {

using Arguments = std::vector<std::string>;

inline Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// What a verb prints under --json: exactly one document, or parse_json throws.
inline Json json_of(const Arguments& arguments) {
  const Outcome outcome = run(arguments + Arguments{"--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  return outcome.status == 0 ? parse_json(outcome.out, "stdout") : Json::object();
}

// Fails with `status`, prints no result, and says one line, which comes back.
inline std::string refusal_of(int status, const Arguments& arguments) {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(outcome.err.starts_with("error: ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  return outcome.err;
}

// A model of some thousand parameters; an epoch of the set is about four steps.
class SmallRun {
 public:
  SmallRun() {
    write_file(config(), R"({"model": {"name": "tiny", "layers": 1, "width": 16, "heads": 2},
      "data": {"max_seq_len": 64}, "train": {"batch_tokens": 1024, "micro_batch_tokens": 512,
      "pack_tokens": 128}, "optimizer": {"lr": 0.01}, "checkpoint": {"every_minutes": 0}})");
  }

  // One thread: results must not depend on the machine.
  Arguments train(const std::string& name, const Arguments& more = {}) const {
    return Arguments{"train",     "--config",       config(),   "--data",      train_set.folder(),
                     "--holdout", holdout.folder(), "--output", path(name),    "--device",
                     "cpu",       "--threads",      "1",        "--log-level", "error"} +
           more;
  }
  Arguments eval(const Arguments& more = {}) const {
    return Arguments{"eval", "--threads", "1", "--device", "cpu", "--log-level", "error"} + more;
  }
  // Trains it; the folder comes back.
  std::string trained(const std::string& name, const Arguments& more = {}) const {
    const Outcome outcome = run(train(name, more));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return path(name);
  }

  std::string config() const { return folder_ / "tiny.json"; }
  std::string path(const std::string& name) const { return folder_ / name; }

  const data::ProteinSet train_set{data::ProteinSet::random(80, 50)};
  const data::ProteinSet holdout{data::ProteinSet::random(12, 45), 62};

 private:
  TemporaryFolder folder_;
};

}  // namespace esmscale::cli
