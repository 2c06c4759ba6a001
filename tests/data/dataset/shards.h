// A small data set on disk, for tests that read it or damage it.
#pragma once

#include "data/dataset/small_set.h"
#include "support/error_of.h"

#include <gtest/gtest.h>

namespace esmscale::data {

class Shards : public testing::Test {
 protected:
  void SetUp() override { write_set(folder_, proteins_); }

  // Opens the set and reads all of it.
  std::string error_of_reading() {
    return error_of([&] { EXPECT_EQ(read_set(Dataset(folder_)), proteins_); });
  }
  std::string error_of_opening() {
    return error_of([&] { Dataset dataset(folder_); });
  }
  std::string error_of_verifying() {
    return error_of([&] { Dataset(folder_).verify(); });
  }

  TemporaryFolder root_;
  const std::filesystem::path folder_ = root_ / "set";
  const NamedProteins proteins_ = random_proteins(600, 50);
};

}  // namespace esmscale::data
