// Checks that all ranks hold the same weights. Every rank has all of them, and at stage 0 updates them by
// itself: a fault of a GPU, of a library or in the order of streams would only show as a slightly wrong loss.
#pragma once

#include "esmscale/dist/ranks.h"

#include <string>

#include <ATen/core/Tensor.h>

namespace esmscale::dist {

// A checksum of the bits of a contiguous fp32 tensor, of any device: two reads of it, and one wait for the
// device. One flipped bit changes it, and so do two values that change places.
std::string checksum_of_bits(const at::Tensor& flat);

// All ranks call it: `flat` becomes rank 0's on all of them.
void broadcast_weights(const at::Tensor& flat, Group& group);

// All ranks call it. Error that names the ranks whose `flat` is not that of most ranks (of rank 0 where no
// value has a majority). Costs a checksum and an exchange of 48 characters.
void require_equal_replicas(const at::Tensor& flat, Ranks& ranks, std::string_view when);

}  // namespace esmscale::dist
