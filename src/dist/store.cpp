#include "dist/store.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mutex>

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

namespace esmscale::dist {
namespace {

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
}

// What goes wrong between ranks comes as an exception, which is caught and reported in one line. LibTorch
// would also log it, as a warning or an error of several lines with stack frames, unless the user chose its
// level; and a write to a rank that is gone would end this one by a signal.
void keep_to_exceptions() {
  static std::once_flag once;
  std::call_once(once, [] {
    constexpr int kFatalOnly = 3;
    if (!std::getenv("TORCH_CPP_LOG_LEVEL"))
      FLAGS_caffe2_log_level = std::max(FLAGS_caffe2_log_level, kFatalOnly);
    std::signal(SIGPIPE, SIG_IGN);
  });
}

c10d::TCPStoreOptions options(int port, bool serves, double timeout_seconds) {
  keep_to_exceptions();
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serves;
  options.waitWorkers = false;
  options.timeout = milliseconds(timeout_seconds);
  return options;
}

constexpr size_t kPiece = size_t{4} << 20;
constexpr char kMore = '+', kLast = '.';  // what a piece begins with

std::string piece_key(const std::string& key, size_t number) {
  return number == 0 ? key : text(key, "/", number);
}

}  // namespace

void set_long_text(c10d::Store& store, const std::string& key, std::string_view value) {
  size_t number = 0;
  for (; value.size() > kPiece; value.remove_prefix(kPiece))
    store.set(piece_key(key, number++), as_stored(kMore + std::string(value.substr(0, kPiece))));
  store.set(piece_key(key, number), as_stored(kLast + std::string(value)));
}

std::string get_long_text(c10d::Store& store, const std::string& key) {
  std::string value;
  for (size_t number = 0;; ++number) {
    const std::string piece = get_text(store, piece_key(key, number));
    value.append(piece, 1);
    if (piece.front() == kLast) return value;
  }
}

void delete_long_text(c10d::Store& store, const std::string& key, size_t size) {
  for (size_t number = 0; number == 0 || number * kPiece < size; ++number)
    store.deleteKey(piece_key(key, number));
}

c10::intrusive_ptr<c10d::TCPStore> serve_store(int port, double timeout_seconds) {
  try {
    return c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options(port, true, timeout_seconds));
  } catch (const std::exception& error) {
    throw Error({.where = text("port ", port),
                 .expected = "a free port for the ranks to meet at",
                 .found = std::string(first_line(error.what())),
                 .advice = "set MASTER_PORT to another one for all ranks"});
  }
}

c10::intrusive_ptr<c10d::Store> connect_to_store(const Placement& placement, double timeout_seconds) {
  try {
    const auto how = options(placement.port, false, timeout_seconds);
    auto store = c10::make_intrusive<c10d::TCPStore>(placement.host, how);
    return c10::make_intrusive<c10d::PrefixStore>("esmscale " + placement.job, store);
  } catch (const std::exception& error) {
    throw Error({.where = text("rank ", placement.rank, " of ", placement.ranks),
                 .expected = text("the meeting point at ", placement.host, ":", placement.port),
                 .found = std::string(first_line(error.what())),
                 .advice = "rank 0 serves it: see its log; MASTER_ADDR and MASTER_PORT name it"});
  }
}

}  // namespace esmscale::dist
