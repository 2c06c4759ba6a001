// The fingerprint file: which sequence has these residues, answered from a block or two of a file of any
// size.
#pragma once

#include "data/dataset/reader.h"
#include "esmscale/data/dataset/format.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace esmscale::data {

// Looks hashes up, ascending ones quickest. Hashes are spread evenly, so the place of one is guessed from its
// value, and a guess misses by a block or so: two reads of 16 KiB among 64 million sequences. Read, not
// mapped: the kernel maps whole neighbourhoods of a touched page, and all of the file would become resident.
class FingerprintLookup {
 public:
  explicit FingerprintLookup(const Dataset::Impl& dataset);

  // The first sequence with this hash.
  std::optional<uint64_t> find(uint64_t hash);

  // Every fingerprint, ascending.
  void for_each(const std::function<void(const Fingerprint&)>& visit);

 private:
  const FingerprintBlock& load(uint64_t block);
  uint64_t guess(uint64_t hash, uint64_t low, uint64_t high) const;

  const Dataset::Impl& dataset_;
  uint64_t blocks_;
  uint64_t loaded_;  // number of the block in block_; blocks_ when none is
  std::unique_ptr<FingerprintBlock> block_;
};

}  // namespace esmscale::data
