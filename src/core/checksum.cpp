#include "esmscale/core/checksum.h"

#define XXH_INLINE_ALL
#include "esmscale/core/error.h"

#include <array>
#include <fstream>

#include <xxhash.h>

namespace esmscale {
namespace {

std::string hex_of(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string hex;
  for (const unsigned char byte : canonical.digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace

uint64_t checksum64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string checksum_hex(std::string_view bytes) {
  return hex_of(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string file_checksum_hex(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error({.where = path.string(), .expected = "a readable file", .found = "none"});
  RunningChecksum sum;
  std::array<char, 1 << 16> piece;
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0)
    sum.add(bytes_of(std::string_view(piece.data(), static_cast<size_t>(file.gcount()))));
  if (file.bad())
    throw Error({.where = path.string(), .expected = "to read it to its end", .found = "a read error"});
  return sum.hex();
}

struct RunningChecksum::State {
  alignas(64) XXH3_state_t xxh;
};

RunningChecksum::RunningChecksum() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}
RunningChecksum::~RunningChecksum() = default;
RunningChecksum::RunningChecksum(RunningChecksum&&) noexcept = default;
RunningChecksum& RunningChecksum::operator=(RunningChecksum&&) noexcept = default;

void RunningChecksum::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::string RunningChecksum::hex() const {
  return hex_of(XXH3_128bits_digest(&state_->xxh));
}

}  // namespace esmscale
