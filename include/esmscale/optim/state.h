// The optimiser's tensors, by their names in a checkpoint.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/config/parameters.h"
#include "esmscale/config/shard_layout.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

struct StateTensor {
  std::string name;  // "first_moment/blocks.0.out.weight"
  std::vector<int64_t> shape;
};
// The state of an optimiser, fp32, in the order of a checkpoint:
//   first_moment/NAME       of every parameter: Adam's, or the momentum of muon and normuon
//   second_moment/NAME      of those that Adam updates
//   row_second_moment/NAME  normuon: of its matrices, a number for each row
std::vector<StateTensor> state_tensors(const config::OptimizerConfig& config,
                                       const std::vector<config::Parameter>& table);

// Floats [begin, begin + values.numel()) of one of these tensors, a view of the optimiser's own memory.
struct StatePart {
  std::string name;
  int64_t begin = 0;
  at::Tensor values;
};

inline constexpr const char* kFirstMoment = "first_moment/";
inline constexpr const char* kSecondMoment = "second_moment/";
inline constexpr const char* kRowSecondMoment = "row_second_moment/";

// A part of a parameter's floats (weights, gradient or moment) that lies elsewhere in another, packed tensor.
struct PackedPart {
  size_t row = 0;           // of the parameter table
  config::FlatRange range;  // of the flat buffers
  int64_t at = 0;           // in the packed tensor
};
// The state of what `parts` and `within` share, of a packed tensor of the group `prefix`.
void append_state(std::vector<StatePart>& state, const char* prefix,
                  const std::vector<config::Parameter>& table, std::span<const PackedPart> parts,
                  const config::FlatRange& within, const at::Tensor& packed);

}  // namespace esmscale::optim
