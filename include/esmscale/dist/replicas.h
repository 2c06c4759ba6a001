// Checks that all ranks hold the same weights. Every rank has all of them, and at stage 0 updates them by
// itself: a fault of a GPU, of a library or in the order of streams would only show as a slightly wrong loss.
#pragma once

#include "esmscale/dist/ranks.h"

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::dist {

// A checksum of the bits of a contiguous fp32 or bf16 tensor, of any device: two reads of it, and one wait
// for the device. One flipped bit changes it, and so do two values that change places.
std::string checksum_of_bits(const at::Tensor& flat);

// All ranks call it. Error that names the ranks whose `weights` are not those of most ranks (of rank 0 where
// no value has a majority). Costs a checksum of each tensor and an exchange of 48 characters for it.
void require_equal_replicas(const std::vector<at::Tensor>& weights, Ranks& ranks, std::string_view when);

}  // namespace esmscale::dist
