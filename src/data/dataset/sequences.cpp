// SequenceReader: frames decoded on demand, the last few kept.
#include "data/dataset/reader.h"
#include "esmscale/core/error.h"
#include "esmscale/data/dataset/dataset.h"

#include <algorithm>
#include <array>

namespace esmscale::data {
namespace {

constexpr size_t kFramesKept = 4;

struct Frame {
  int64_t number = -1;
  uint64_t first = 0;
  uint32_t sequences = 0;
  uint64_t last_use = 0;
  std::vector<uint8_t> codes;
  std::vector<uint32_t> starts;
  std::vector<std::string> names;  // empty until one is asked for

  bool holds(int64_t sequence) const {
    return number >= 0 && static_cast<uint64_t>(sequence) - first < sequences;  // wraps when it lies before
  }
};

}  // namespace

struct SequenceReader::Impl {
  explicit Impl(const Dataset& set) : dataset(set.impl()), decoder(set.impl()) {}

  Frame& frame_with(int64_t sequence) {
    for (Frame& frame : kept)
      if (frame.holds(sequence)) return touch(frame);
    const int64_t number = dataset.frame_of(sequence);
    Frame& oldest = *std::min_element(kept.begin(), kept.end(),
                                      [](const Frame& a, const Frame& b) { return a.last_use < b.last_use; });
    oldest.number = -1;  // stays empty when the decoder throws
    oldest.names.clear();
    decoder.residues(number, oldest.codes, oldest.starts);
    const FrameEntry& entry = dataset.frames()[static_cast<size_t>(number)];
    oldest.first = entry.first_sequence;
    oldest.sequences = entry.sequences;
    oldest.number = number;
    return touch(oldest);
  }

  Frame& touch(Frame& frame) {
    frame.last_use = ++uses;
    return frame;
  }

  const Dataset::Impl& dataset;
  FrameDecoder decoder;
  std::array<Frame, kFramesKept> kept;
  uint64_t uses = 0;
};

SequenceReader::SequenceReader(const Dataset& dataset) : impl_(std::make_unique<Impl>(dataset)) {}
SequenceReader::~SequenceReader() = default;

std::span<const uint8_t> SequenceReader::residues(int64_t sequence) {
  const Frame& frame = impl_->frame_with(sequence);
  const size_t place = static_cast<size_t>(sequence) - frame.first;
  return std::span(frame.codes).subspan(frame.starts[place], frame.starts[place + 1] - frame.starts[place]);
}

std::string SequenceReader::identifier(int64_t sequence) {
  Frame& frame = impl_->frame_with(sequence);
  if (frame.names.empty()) impl_->decoder.identifiers(frame.number, frame.names);
  if (frame.names.size() != frame.sequences)
    throw Error({.where = impl_->dataset.identifiers->path().string(),
                 .expected = std::to_string(frame.sequences) + " identifiers in frame " +
                             std::to_string(frame.number),
                 .found = std::to_string(frame.names.size()),
                 .advice = "prepare the data set again"});
  return frame.names[static_cast<size_t>(sequence) - frame.first];
}

}  // namespace esmscale::data
