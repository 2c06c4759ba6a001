// One-call zstd, with a context per thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace esmscale {

// A whole zstd frame. Level 1: protein letters hold little but their frequencies, which every level finds.
std::vector<std::byte> compress(std::span<const std::byte> bytes);

// The `size` bytes of a whole frame; Error naming `where` when it is not one of that size.
std::vector<std::byte> decompress(std::span<const std::byte> frame, size_t size, const char* where);

}  // namespace esmscale
