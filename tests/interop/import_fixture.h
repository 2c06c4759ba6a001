// A folder of Hugging Face to import, and ways to spoil it.
#pragma once

#include "esmscale/interop/hugging_face.h"
#include "support/error_of.h"
#include "support/folders.h"
#include "support/temporary.h"

#include <filesystem>
#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace esmscale::interop {

class Import : public ::testing::Test {
 protected:
  std::string error() const {
    return error_of([&] { import_hugging_face(folder_); });
  }
  std::string error_after_config(const std::function<void(Json&)>& change) const {
    change_config(folder_, change);
    return error();
  }
  std::string error_after_tensors(const std::function<void(Tensors&)>& change) const {
    change_tensors(folder_, change);
    return error();
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_ / "hf";
  model::Weights weights_ = write_folder(folder_, 33);
};

inline const std::string kLayer = "esm.encoder.layer.1.";
inline const std::string kInvFreq = "attention.self.rotary_embeddings.inv_freq";

}  // namespace esmscale::interop
