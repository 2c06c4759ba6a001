// One-call zstd, with a context per thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace esmscale {

// A whole zstd frame. Level 1: protein letters are nearly random apart from their frequencies, which every
// level uses.
std::vector<std::byte> compress(std::span<const std::byte> bytes);

// Fills `into` from a whole frame; Error when the frame does not hold exactly into.size() bytes.
void decompress(std::span<const std::byte> frame, std::span<std::byte> into);

}  // namespace esmscale
