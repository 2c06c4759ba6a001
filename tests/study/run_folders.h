// Run folders as train writes them, for tests of what reads them.
#pragma once

#include "esmscale/accounting/flops.h"
#include "esmscale/config/config.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"
#include "support/temporary.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::study {

namespace fs = std::filesystem;

inline constexpr double mean_squared = 300;  // Σn²/Σn of the pretended sequences

class Runs : public testing::Test {
 protected:
  static config::RunConfig config(int64_t width, int64_t seed = 1) {
    config::RunConfig c;
    c.model.layers = 2;
    c.model.width = width;
    c.model.heads = width / 16;
    c.train.seed = seed;
    c.data.train = "data/train";
    c.data.holdout = "data/holdout";
    c.study.budget = 1e12;
    config::resolve(c);
    return c;
  }

  // Twenty logged steps of 1,000 tokens, an evaluation half way, and the last line.
  fs::path write(const std::string& name, const config::RunConfig& c, bool finished = true,
                 const std::string& provenance = "") {
    const fs::path path = root / name;
    fs::create_directories(path);
    run::RunFolder(path).write_config(c);
    const accounting::FlopCounter counter(c.model);
    std::ofstream metrics(run::RunFolder(path).metrics());
    const auto head = [&](int step) {
      return text("{\"step\":", step, ",\"tokens\":", 1000 * step,
                  ",\"flops\":", fixed(counter.training(1000.0 * step, 1000.0 * step * mean_squared), 0));
    };
    for (int step = 1; step <= 20; ++step) {
      metrics << head(step) << ",\"train/loss\":" << 3 - 0.01 * step << "}\n";
      if (step == 10) metrics << head(step) << ",\"eval/loss\":2.9,\"eval/loss_mask_only\":3.0}\n";
    }
    if (finished)
      metrics << head(20)
              << ",\"eval/loss\":2.8,\"eval/loss_mask_only\":2.95,\"eval/"
                 "holdout_label\":\"checked\",\"finished\":true}\n";
    if (!provenance.empty())
      write_file(run::RunFolder(path).environment(), "[{\"data\":" + provenance + "}]");
    return path;
  }

  TemporaryFolder folder;
  fs::path root = folder.path();
};

}  // namespace esmscale::study
