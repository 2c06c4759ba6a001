#include "data/dataset/fingerprints.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <span>

namespace esmscale::data {
namespace {

constexpr int kGuesses = 8;      // then halving: hashes that repeat a lot are not spread evenly
constexpr size_t kExamples = 5;  // identifiers named in an Overlap

std::span<const Fingerprint> used(const FingerprintBlock& block) {
  return std::span(block.fingerprints).first(block.used);
}

}  // namespace

FingerprintLookup::FingerprintLookup(const Dataset::Impl& dataset)
    : dataset_(dataset),
      blocks_((dataset.fingerprints->bytes() - sizeof(FileHeader)) / sizeof(FingerprintBlock)),
      loaded_(blocks_),
      block_(std::make_unique<FingerprintBlock>()) {}

const FingerprintBlock& FingerprintLookup::load(uint64_t block) {
  if (block == loaded_) return *block_;
  loaded_ = blocks_;
  dataset_.fingerprints->read_at(sizeof(FileHeader) + block * sizeof(FingerprintBlock),
                                 std::as_writable_bytes(std::span(block_.get(), 1)));
  if (block_->checksum != checksum_of(*block_) || block_->used == 0 ||
      block_->used > FingerprintBlock::kCapacity)
    throw Error({.where = text(dataset_.fingerprints->path().string(), ", block ", block),
                 .expected = "fingerprints that agree with their checksum",
                 .found = "others",
                 .advice = "the file is damaged: copy the data set again"});
  loaded_ = block;
  return *block_;
}

uint64_t FingerprintLookup::guess(uint64_t hash, uint64_t low, uint64_t high) const {
  // From the block read last: the nearer that one lies, the smaller the error.
  const bool known = loaded_ < blocks_;
  const double from = known ? static_cast<double>(loaded_) : 0;
  const double distance =
      static_cast<double>(hash) - (known ? static_cast<double>(used(*block_).front().hash) : 0);
  const double place = from + distance / 0x1p64 * static_cast<double>(blocks_);
  return static_cast<uint64_t>(std::clamp(place, static_cast<double>(low), static_cast<double>(high - 1)));
}

std::optional<uint64_t> FingerprintLookup::find(uint64_t hash) {
  // The first fingerprint that is not below `hash` is in blocks low … high, or at the front of block
  // high.
  uint64_t low = 0, high = blocks_;
  std::optional<uint64_t> at_front_of_high;
  for (int tries = 0; low < high; ++tries) {
    const uint64_t next = tries < kGuesses ? guess(hash, low, high) : low + (high - low) / 2;
    const std::span<const Fingerprint> sorted = used(load(next));
    if (sorted.front().hash >= hash) {
      high = next;
      at_front_of_high = sorted.front().hash == hash ? std::optional(sorted.front().sequence) : std::nullopt;
    } else if (sorted.back().hash < hash) {
      low = next + 1;
    } else {
      const auto found = std::lower_bound(sorted.begin(), sorted.end(), Fingerprint{hash, 0});
      return found->hash == hash ? std::optional(found->sequence) : std::nullopt;
    }
  }
  return at_front_of_high;
}

void FingerprintLookup::for_each(const std::function<void(const Fingerprint&)>& visit) {
  for (uint64_t block = 0; block < blocks_; ++block)
    for (const Fingerprint& fingerprint : used(load(block))) visit(fingerprint);
}

Overlap find_overlap(const Dataset& holdout, const Dataset& train, int64_t epoch_sequences) {
  const SequenceRange last = epoch_sequences > 0 ? train.cluster(epoch_sequences - 1) : SequenceRange{};
  FingerprintLookup held_out(holdout.impl()), trained(train.impl());
  Overlap overlap;
  std::vector<int64_t> first;  // the first few of the holdout that are shared, ascending
  held_out.for_each([&](const Fingerprint& fingerprint) {
    const std::optional<uint64_t> found = trained.find(fingerprint.hash);
    if (!found || static_cast<int64_t>(*found) >= last.first + last.count) return;
    ++overlap.count;
    const auto sequence = static_cast<int64_t>(fingerprint.sequence);
    first.insert(std::lower_bound(first.begin(), first.end(), sequence), sequence);
    if (first.size() > kExamples) first.pop_back();
  });
  SequenceReader reader(holdout);
  for (const int64_t sequence : first) overlap.examples.push_back(reader.identifier(sequence));
  return overlap;
}

}  // namespace esmscale::data
