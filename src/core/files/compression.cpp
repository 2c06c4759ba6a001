#include "esmscale/core/files/compression.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <memory>

#include <zstd.h>

namespace esmscale {
namespace {

constexpr int kLevel = 1;

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

std::vector<std::byte> compress(std::span<const std::byte> bytes) {
  thread_local const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  thread_local std::vector<std::byte>
      room;  // results are half its size: copying them out keeps what waits small
  room.resize(std::max(room.size(), ZSTD_compressBound(bytes.size())));
  const size_t size =
      ZSTD_compressCCtx(context.get(), room.data(), room.size(), bytes.data(), bytes.size(), kLevel);
  if (ZSTD_isError(size))
    throw Error({.where = "zstd", .expected = "to compress", .found = ZSTD_getErrorName(size)});
  return {room.begin(), room.begin() + static_cast<ptrdiff_t>(size)};
}

void decompress(std::span<const std::byte> frame, std::span<std::byte> into) {
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  const size_t found =
      ZSTD_decompressDCtx(context.get(), into.data(), into.size(), frame.data(), frame.size());
  if (found != into.size())
    throw Error({.where = "zstd",
                 .expected = text(into.size(), " bytes"),
                 .found = ZSTD_isError(found) ? std::string(ZSTD_getErrorName(found)) : text(found)});
}

}  // namespace esmscale
