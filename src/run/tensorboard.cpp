#include "run/tensorboard.h"

#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"

#include <array>
#include <bit>

#include <unistd.h>

namespace esmscale::run {
namespace {

static_assert(std::endian::native == std::endian::little, "records are little-endian");

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
    table[byte] = crc;
  }
  return table;
}

template <class T>
std::string raw(T value) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
  return {bytes.begin(), bytes.end()};
}

// A CRC stored next to the bytes that it covers is masked, so that a CRC over both means something
// (TFRecord's rule).
uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u;
}

// Protocol buffer fields: a key is (number << 3) | wire type.
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes += static_cast<char>(value);
}
std::string key(uint32_t number, uint32_t wire_type) {
  return varint(number << 3 | wire_type);
}
std::string integer_field(uint32_t number, int64_t value) {
  return key(number, 0) + varint(static_cast<uint64_t>(value));
}
std::string double_field(uint32_t number, double value) {
  return key(number, 1) + raw(value);
}
std::string float_field(uint32_t number, float value) {
  return key(number, 5) + raw(value);
}
std::string bytes_field(uint32_t number, std::string_view bytes) {
  return key(number, 2) + varint(bytes.size()) + std::string(bytes);
}

// Event: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7.
// A step of 0 is its default, which is not written.
std::string event(double time, int64_t step) {
  return double_field(1, time) + (step == 0 ? "" : integer_field(2, step));
}

std::filesystem::path new_file(const std::filesystem::path& folder) {
  make_own_folder(folder);
  const auto stem = text("events.out.tfevents.", static_cast<int64_t>(seconds_since_1970()), ".", host_name(),
                         ".", ::getpid(), ".");
  int n = 0;
  while (std::filesystem::exists(folder / (stem + std::to_string(n)))) ++n;
  return folder / (stem + std::to_string(n));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> table = crc_table();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

std::string tfrecord(std::string_view payload) {
  const std::string length = raw(uint64_t{payload.size()});
  return length + raw(masked_crc(length)) + std::string(payload) + raw(masked_crc(payload));
}

std::string version_event(double time) {
  return event(time, 0) + bytes_field(3, "brain.Event:2");
}

// SessionLog: status = 1, START = 1.
std::string restart_event(double time, int64_t first_step) {
  return event(time, first_step) + bytes_field(7, integer_field(1, 1));
}

// Summary: value = 1; Value: tag = 1, simple_value = 2.
std::string scalar_event(double time, int64_t step, const EventFile::Scalars& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars)
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, value));
  return event(time, step) + bytes_field(5, summary);
}

EventFile::EventFile(const std::filesystem::path& folder, std::optional<int64_t> last_step)
    : file_(new_file(folder)) {
  const double now = seconds_since_1970();
  file_.write(tfrecord(version_event(now)));
  if (last_step) file_.write(tfrecord(restart_event(now, *last_step + 1)));
}

void EventFile::write(int64_t step, double time, const Scalars& scalars) {
  file_.append_whole(tfrecord(scalar_event(time, step, scalars)));
}

}  // namespace esmscale::run
