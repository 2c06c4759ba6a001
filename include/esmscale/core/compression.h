// One-call zstd, with a context per thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace esmscale {

// A whole zstd frame. Level 1: protein letters hold little but their frequencies, which every level finds.
std::vector<std::byte> compress(std::span<const std::byte> bytes);

// Fills `into` from a whole frame; Error when the frame holds anything but so many bytes.
void decompress(std::span<const std::byte> frame, std::span<std::byte> into);

}  // namespace esmscale
