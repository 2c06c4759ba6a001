// embed.json: what is embedded, and which proteins are done.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <filesystem>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::downstream {

class EmbedState {
 public:
  EmbedState(const std::filesystem::path& folder, Json request, int64_t proteins)
      : path_(folder / "embed.json"), request_(std::move(request)), proteins_(proteins) {}

  // Takes up what an earlier start of the same request has done; replaces another one's when `force`.
  void begin(bool force);

  // The first `settled` proteins are done; the last of them ends a shard of safetensors.
  void add(int64_t settled, bool ends_shard);

  int64_t done() const { return done_; }
  // Proteins up to each shard's end, which ascend from 1 to done(); none where there are no shards.
  const std::vector<int64_t>& shard_ends() const { return shard_ends_; }

 private:
  bool take_up();
  bool has_shards_up_to_done() const;
  void write() const;

  std::filesystem::path path_;
  Json request_;
  int64_t proteins_, done_ = 0;
  std::vector<int64_t> shard_ends_;
};

}  // namespace esmscale::downstream
