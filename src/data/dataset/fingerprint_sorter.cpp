#include "data/dataset/fingerprint_sorter.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/compression.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <fstream>
#include <queue>
#include <span>

namespace esmscale::data {
namespace {

constexpr size_t kLeastCapacity = 1024;
constexpr size_t kBlock = 1024;  // pairs compressed at a time

struct BlockHeader {
  uint32_t pairs = 0;
  uint32_t bytes = 0;
  uint64_t checksum = 0;  // of the compressed bytes
};

// Hashes as differences, then all first bytes, all second bytes, …: those that are always zero cost nothing.
// A pair takes about 9 bytes instead of 16.
std::vector<std::byte> encode(std::span<const Fingerprint> sorted) {
  std::vector<std::byte> planes(sorted.size_bytes());
  uint64_t before = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const Fingerprint stored{sorted[i].hash - before, sorted[i].sequence};
    before = sorted[i].hash;
    const auto bytes = std::as_bytes(std::span(&stored, 1));
    for (size_t plane = 0; plane < bytes.size(); ++plane) planes[plane * sorted.size() + i] = bytes[plane];
  }
  const std::vector<std::byte> packed = compress(planes);
  const BlockHeader header{static_cast<uint32_t>(sorted.size()), static_cast<uint32_t>(packed.size()),
                           checksum64(packed)};
  const auto bytes = std::as_bytes(std::span(&header, 1));
  std::vector<std::byte> block(bytes.begin(), bytes.end());
  block.insert(block.end(), packed.begin(), packed.end());
  return block;
}

// A sorted run, read from front to back, a block at a time.
class Run {
 public:
  explicit Run(const std::filesystem::path& path) : path_(path), in_(path, std::ios::binary) { fill(); }

  bool at_end() const { return next_ == pairs_.size(); }
  const Fingerprint& head() const { return pairs_[next_]; }
  void advance() {
    if (++next_ == pairs_.size()) fill();
  }

 private:
  void fill() {
    BlockHeader header;
    pairs_.clear();
    next_ = 0;
    in_.read(reinterpret_cast<char*>(&header), sizeof header);
    if (in_.gcount() == 0 && in_.eof()) return;
    std::vector<std::byte> packed(in_ ? header.bytes : 0);
    in_.read(reinterpret_cast<char*>(packed.data()), static_cast<std::streamsize>(packed.size()));
    if (!in_ || checksum64(packed) != header.checksum)
      throw Error({.where = path_.string(),
                   .expected = "the pairs that were written to it",
                   .found = "other bytes or none",
                   .advice = "look at the disk, or prepare on another one"});
    decode(packed, header.pairs);
  }

  void decode(std::span<const std::byte> packed, size_t pairs) {
    std::vector<std::byte> planes(pairs * sizeof(Fingerprint));
    decompress(packed, planes);
    pairs_.resize(pairs);
    uint64_t before = 0;
    for (size_t i = 0; i < pairs; ++i) {
      const auto bytes = std::as_writable_bytes(std::span(&pairs_[i], 1));
      for (size_t plane = 0; plane < bytes.size(); ++plane) bytes[plane] = planes[plane * pairs + i];
      before = pairs_[i].hash += before;
    }
  }

  std::filesystem::path path_;
  std::ifstream in_;
  std::vector<Fingerprint> pairs_;
  size_t next_ = 0;
};

}  // namespace

FingerprintSorter::FingerprintSorter(std::filesystem::path stem, uint64_t memory)
    : stem_(std::move(stem)), capacity_(std::max<size_t>(kLeastCapacity, memory / sizeof(Fingerprint))) {
  buffer_.reserve(capacity_);  // at once: growing would hold the old and the new buffer
}

FingerprintSorter::~FingerprintSorter() {
  std::error_code ignored;
  for (size_t run = 0; run < runs_; ++run) std::filesystem::remove(run_path(run), ignored);
}

std::filesystem::path FingerprintSorter::run_path(size_t run) const {
  return text(stem_.string(), ".", run);
}

void FingerprintSorter::add(const Fingerprint& fingerprint) {
  buffer_.push_back(fingerprint);
  if (buffer_.size() == capacity_) spill();
}

void FingerprintSorter::spill() {
  std::sort(buffer_.begin(), buffer_.end());
  OutputFile file(run_path(runs_));
  ++runs_;
  for (size_t first = 0; first < buffer_.size(); first += kBlock)
    file.write(encode(std::span(buffer_).subspan(first, std::min(kBlock, buffer_.size() - first))));
  spilled_ += file.size();
  file.close(/*sync=*/false);
  buffer_.clear();
}

void FingerprintSorter::for_each(const std::function<void(const Fingerprint&)>& visit) {
  if (runs_ == 0) {
    std::sort(buffer_.begin(), buffer_.end());
    for (const Fingerprint& fingerprint : buffer_) visit(fingerprint);
    std::vector<Fingerprint>().swap(buffer_);
    return;
  }
  if (!buffer_.empty()) spill();
  std::vector<Fingerprint>().swap(buffer_);
  std::vector<Run> runs;
  const auto later = [&](size_t a, size_t b) { return runs[b].head() < runs[a].head(); };
  std::priority_queue<size_t, std::vector<size_t>, decltype(later)> heads(later);
  for (size_t run = 0; run < runs_; ++run) runs.emplace_back(run_path(run));
  for (size_t run = 0; run < runs_; ++run) heads.push(run);
  while (!heads.empty()) {
    const size_t run = heads.top();
    heads.pop();
    visit(runs[run].head());
    runs[run].advance();
    if (!runs[run].at_end()) heads.push(run);
  }
}

}  // namespace esmscale::data
