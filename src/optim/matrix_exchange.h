// Shards hold parts of matrices, wherever the cuts between ranks fall; an update needs whole ones. Here the
// parts travel to the matrix's owner and the parts of its update back: each float once there and once back.
#pragma once

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/dist/group.h"
#include "esmscale/optim/state.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

class MatrixExchange {
 public:
  // Every rank holds all matrices, and computes all of them: nothing travels.
  MatrixExchange(std::vector<config::HiddenMatrix> matrices, const std::vector<config::FlatRange>& ranges);
  // shards[r]: the ranges of the flat weights that rank r updates. `group` must outlive it.
  MatrixExchange(const std::vector<config::HiddenMatrix>& matrices,
                 const std::vector<std::vector<config::FlatRange>>& shards, dist::Group& group);

  // Where the matrices' floats of this rank's shard lie in a packed tensor.
  const std::vector<PackedPart>& packed() const { return packed_; }
  int64_t packed_size() const { return packed_size_; }
  // The matrices that this rank computes, in the order of a whole tensor, which has them one after the other.
  const std::vector<config::HiddenMatrix>& owned() const { return owned_; }

  // All ranks call these together.
  at::Tensor to_owners(const at::Tensor& packed);  // whole: may be `packed` itself
  at::Tensor to_shards(const at::Tensor& whole);   // packed

 private:
  struct Piece {
    int64_t in_whole, in_message, size;
  };
  at::Tensor exchange(const at::Tensor& message, const std::vector<int64_t>& to,
                      const std::vector<int64_t>& from);

  dist::Group* group_ = nullptr;  // none: nothing travels
  std::vector<PackedPart> packed_;
  std::vector<config::HiddenMatrix> owned_;
  std::vector<Piece> pieces_;  // of the owned matrices, in the order in which they arrive
  std::vector<int64_t> packed_by_owner_, owned_by_shard_;  // floats, by rank
  int64_t packed_size_ = 0;
};

}  // namespace esmscale::optim
