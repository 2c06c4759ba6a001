// TensorBoard's event files, scalars only: TFRecord framing around hand-written Event messages. Field numbers
// are those of TensorBoard's event.proto and summary.proto.
#pragma once

#include "esmscale/core/files/files.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace esmscale::run {

// CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.
uint32_t crc32c(std::string_view bytes);

// One record: length (u64), masked CRC of the length, payload, masked CRC of the payload; little-endian.
std::string tfrecord(std::string_view payload);

class EventFile {
 public:
  using Scalars = std::vector<std::pair<std::string, float>>;

  // A new events.out.tfevents.… in `folder`, which is made. `last_step`: later steps in earlier files of
  // the folder are void (a resumed run writes those steps again).
  EventFile(const std::filesystem::path& folder, std::optional<int64_t> last_step);

  // `time` in seconds since 1970. Handed to the system before it returns.
  void write(int64_t step, double time, const Scalars& scalars);

 private:
  OutputFile file_;
};

// The serialized Event messages, without framing.
std::string version_event(double time);
std::string restart_event(double time, int64_t first_step);
std::string scalar_event(double time, int64_t step, const EventFile::Scalars& scalars);

}  // namespace esmscale::run
