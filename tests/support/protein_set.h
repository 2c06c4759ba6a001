// A small data set of random proteins, prepared in a temporary folder with frames of a few sequences each.
#pragma once

#include "data/dataset/writer.h"
#include "esmscale/core/random.h"
#include "esmscale/core/thread_pool.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset/dataset.h"
#include "support/temporary.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::data {

class ProteinSet {
 public:
  explicit ProteinSet(const std::vector<std::string>& proteins, int64_t eval_length = 1022,
                      uint64_t seed = 7) {
    std::filesystem::create_directories(folder());
    std::filesystem::create_directories(folder_ / "temporary");
    ThreadPool workers(1);
    DatasetWriter writer(folder(), folder_ / "temporary", workers,
                         {.seed = seed, .eval_length = eval_length, .rule = {.frame_residues = 2048}});
    for (size_t i = 0; i < proteins.size(); ++i) {
      std::vector<uint8_t> codes;
      for (const char letter : proteins[i]) codes.push_back(letter_code(letter));
      writer.add("protein" + std::to_string(i), codes);
    }
    writer.finish("", Json::object());
    dataset_.emplace(folder());
  }

  // Log-normal lengths of mean `mean_length`, as proteins have; one letter in a hundred is X.
  static std::vector<std::string> random(int64_t count, double mean_length) {
    RandomStream stream(21, Purpose::test, static_cast<uint64_t>(count));
    std::vector<std::string> proteins(count);
    for (std::string& protein : proteins) {
      const double length = mean_length * std::exp(-0.28 + 0.75 * stream.normal());
      for (int i = 0; i < std::max(1, static_cast<int>(length)); ++i)
        protein += stream.below(100) == 0 ? 'X' : kLetters[stream.below(kStandardLetters)];
    }
    return proteins;
  }

  const Dataset& dataset() const { return *dataset_; }
  std::filesystem::path folder() const { return folder_ / "set"; }

 private:
  TemporaryFolder folder_;
  std::optional<Dataset> dataset_;
};

}  // namespace esmscale::data
