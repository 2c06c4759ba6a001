#include "esmscale/data/prepare_sort.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <fstream>
#include <queue>

namespace esmscale {
namespace {

constexpr size_t kLeastCapacity = 1024;

// A sorted run, read from front to back.
class Run {
 public:
  Run(const std::filesystem::path& path, size_t buffered)
      : path_(path), in_(path, std::ios::binary), buffer_(buffered) {
    fill();
  }

  bool at_end() const { return next_ == filled_; }
  const Fingerprint& head() const { return buffer_[next_]; }
  void advance() {
    if (++next_ == filled_) fill();
  }

 private:
  void fill() {
    in_.read(reinterpret_cast<char*>(buffer_.data()),
             static_cast<std::streamsize>(buffer_.size() * sizeof(Fingerprint)));
    filled_ = static_cast<size_t>(in_.gcount()) / sizeof(Fingerprint);
    next_ = 0;
    if (in_.bad() || (filled_ == 0 && !in_.eof()))
      throw Error(
          {.where = path_.string(), .expected = "to read back a sorted run", .found = "a failed read"});
  }

  std::filesystem::path path_;
  std::ifstream in_;
  std::vector<Fingerprint> buffer_;
  size_t next_ = 0, filled_ = 0;
};

}  // namespace

FingerprintSorter::FingerprintSorter(std::filesystem::path stem, uint64_t memory)
    : stem_(std::move(stem)), capacity_(std::max<size_t>(kLeastCapacity, memory / sizeof(Fingerprint))) {
  buffer_.reserve(capacity_);  // at once: growing would hold the old buffer beside the new one
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
  file.write(std::as_bytes(std::span(buffer_)));
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
  for (size_t run = 0; run < runs_; ++run)
    runs.emplace_back(run_path(run), std::max<size_t>(64, capacity_ / runs_));
  for (size_t run = 0; run < runs_; ++run) heads.push(run);
  while (!heads.empty()) {
    const size_t run = heads.top();
    heads.pop();
    visit(runs[run].head());
    runs[run].advance();
    if (!runs[run].at_end()) heads.push(run);
  }
}

}  // namespace esmscale
