// The TCPStore that ranks meet at.
#pragma once

#include "esmscale/dist/placement.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace esmscale::dist {

inline std::vector<uint8_t> as_stored(std::string_view value) {
  return {value.begin(), value.end()};
}

inline std::string get_text(c10d::Store& store, const std::string& key) {
  const std::vector<uint8_t> value = store.get(key);
  return {value.begin(), value.end()};
}

// A text of any length, in pieces that the store takes (it refuses values above 8 MiB). `size`: of the text.
void set_long_text(c10d::Store& store, const std::string& key, std::string_view value);
std::string get_long_text(c10d::Store& store, const std::string& key);
void delete_long_text(c10d::Store& store, const std::string& key, size_t size);

// Serves the store at `port`, 0 for any free one. Error when the port is taken.
c10::intrusive_ptr<c10d::TCPStore> serve_store(int port, double timeout_seconds);
// A new connection to the store at host:port; keys are prefixed with the job's name. Error when nobody
// answers in time.
c10::intrusive_ptr<c10d::Store> connect_to_store(const Placement& placement, double timeout_seconds);

}  // namespace esmscale::dist
