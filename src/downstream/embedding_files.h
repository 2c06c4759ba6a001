// Where embeddings go: shards of safetensors, or a matrix a layer. Both can be resumed.
#pragma once

#include "esmscale/downstream/embed.h"

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::downstream {

class EmbeddingFiles {
 public:
  virtual ~EmbeddingFiles() = default;
  // One protein's values, in the stored type, on the CPU, in the order of the layers.
  virtual void add(const std::string& identifier, const std::vector<at::Tensor>& layers) = 0;
  // Makes sure of what was added: how many of the proteins need not be computed again. `at_end`: no more
  // come.
  virtual int64_t settle(bool at_end) = 0;
};

// `done` of `proteins` are there already, in `shards` files.
struct EmbeddingPlace {
  std::filesystem::path folder;
  int64_t proteins = 0, done = 0, shards = 0;
  int64_t width = 0;
};
std::unique_ptr<EmbeddingFiles> open_embedding_files(const EmbedOptions& options,
                                                     const EmbeddingPlace& place);

at::ScalarType scalar_type(EmbeddingType type);

// "embeddings-00003.safetensors" for shard 2
std::string shard_name(int64_t shard);

}  // namespace esmscale::downstream
