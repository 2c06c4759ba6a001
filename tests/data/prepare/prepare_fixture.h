// prepare() on proteins made by a test, in a folder of its own.
#pragma once

#include "data/dataset/small_set.h"
#include "esmscale/core/log.h"
#include "esmscale/data/prepare/prepare.h"
#include "support/error_of.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::data {

class Prepare : public testing::Test {
 protected:
  void SetUp() override { set_log_level(LogLevel::error); }  // warnings are looked at, not shown
  void TearDown() override { set_log_level(LogLevel::info); }

  PrepareOptions options(const NamedProteins& proteins) {
    return {.inputs = {write_fasta(root_ / "in.fasta", fasta_text(proteins))},
            .output = root_ / "out",
            .eval_length = 77,
            .threads = 2,
            .rule = kSmallFrames};
  }

  NamedProteins content(const std::string& name) { return read_set(Dataset(root_ / name)); }

  // The documented order: by Philox(seed, shuffle, ordinal), ties by ordinal.
  static NamedProteins shuffled(const NamedProteins& proteins, uint64_t seed) {
    std::vector<std::pair<uint64_t, size_t>> keys;
    for (size_t i = 0; i < proteins.size(); ++i)
      keys.emplace_back(RandomStream(seed, Purpose::shuffle, i).next_u64(), i);
    std::sort(keys.begin(), keys.end());
    NamedProteins order;
    for (const auto& [key, i] : keys) order.push_back(proteins[i]);
    return order;
  }

  // Names and bytes of all that is in a folder.
  std::string folder_bytes(const std::string& name) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(root_ / name)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::string bytes;
    for (const auto& path : paths) bytes += path.filename().string() + "\n" + bytes_in(path);
    return bytes;
  }

  TemporaryFolder root_;
};

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

}  // namespace esmscale::data
