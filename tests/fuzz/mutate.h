// Changed copies of a file: bits, bytes, numbers, pieces, and words that readers look for.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace esmscale::fuzz {

// One to eight changes of `content`, at most twice as long and 64 KiB more. `others`: contents to take pieces
// from; may be empty.
std::string mutated(std::string content, const std::vector<std::string>& others, std::mt19937_64& random);

}  // namespace esmscale::fuzz
