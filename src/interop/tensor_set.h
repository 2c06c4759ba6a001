// The tensors of a Hugging Face folder: model.safetensors, or the shards that model.safetensors.index.json
// names. Names are without the prefixes of torch.compile (_orig_mod.) and DataParallel (module.).
#pragma once

#include "esmscale/core/safetensors.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::interop {

class TensorSet {
 public:
  // Error when there are no safetensors, or the index names files or tensors that are not there.
  explicit TensorSet(const std::filesystem::path& folder);

  std::vector<std::string> keys() const;                  // sorted
  const TensorEntry* find(const std::string& key) const;  // null when absent
  // As fp32, from F32, F16 or BF16. REQUIRES that find() finds it and is_readable() holds.
  at::Tensor read(const std::string& key) const;
  static bool is_readable(const TensorEntry& entry);

  const std::filesystem::path& path() const { return path_; }  // of the file or index

 private:
  struct Place {
    Place(const SafetensorsFile* in, const TensorEntry* of) : file(in), entry(of) {}
    const SafetensorsFile* file;
    const TensorEntry* entry;
  };
  void add_all(const std::filesystem::path& file);
  void add_shards();

  std::filesystem::path path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;
};

}  // namespace esmscale::interop
