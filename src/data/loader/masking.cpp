#include "esmscale/data/loader/masking.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <algorithm>
#include <bit>

namespace esmscale::data {

namespace {

// Probabilities count in units of 2⁻³², so that every machine chooses the same: no rounding, no fused
// multiply-add.
constexpr uint64_t in_units(double probability) {
  return static_cast<uint64_t>(probability * 0x1p32);
}
constexpr uint64_t kShowMask = in_units(0.8);
constexpr uint64_t kShowOther = in_units(0.9);

bool is_standard(uint8_t letter) {
  return letter < kStandardLetters;
}

uint64_t checked_units(double probability) {
  if (probability >= 0 && probability <= 1) return in_units(probability);
  throw usage_error({.where = "masking.mlm_probability",
                     .expected = "a probability from 0 to 1",
                     .found = text(probability)});
}

}  // namespace

int64_t crop_begin(uint64_t seed, MaskSource source, int64_t epoch, int64_t sequence, int64_t length,
                   int64_t window) {
  if (length <= window) return 0;
  const Purpose purpose = source == MaskSource::training ? Purpose::crop : Purpose::evaluation_crop;
  RandomStream stream(seed, purpose, static_cast<uint64_t>(sequence), static_cast<uint32_t>(epoch));
  return stream.below(static_cast<uint32_t>(length - window + 1));
}

Masker::Masker(uint64_t seed, MaskSource source, double mlm_probability, MaskPattern pattern)
    : seed_(seed), source_(source), probability_(checked_units(mlm_probability)), pattern_(pattern) {}

void Masker::set_probability(double mlm_probability) {
  probability_ = checked_units(mlm_probability);
}

MaskedWindow Masker::window(int64_t epoch, int64_t sequence, std::span<const uint8_t> residues,
                            int64_t longest) {
  const auto length = static_cast<int64_t>(residues.size());
  const int64_t begin = crop_begin(seed_, source_, epoch, sequence, length, longest);
  const std::span<const uint8_t> letters = residues.subspan(begin, std::min(length, longest));
  return {letters, choose(epoch, sequence, letters)};
}

std::span<const ChosenResidue> Masker::choose(int64_t epoch, int64_t sequence,
                                              std::span<const uint8_t> letters) {
  const auto eligible = static_cast<int64_t>(std::count_if(letters.begin(), letters.end(), is_standard));
  const bool all = eligible == static_cast<int64_t>(letters.size());
  eligible_.clear();
  for (size_t i = 0; !all && i < letters.size(); ++i)
    if (is_standard(letters[i])) eligible_.push_back(static_cast<int32_t>(i));

  const Purpose purpose = source_ == MaskSource::training ? Purpose::mask : Purpose::evaluation_mask;
  RandomStream stream(seed_, purpose, static_cast<uint64_t>(sequence), static_cast<uint32_t>(epoch));
  const auto count =
      static_cast<int64_t>((probability_ * static_cast<uint64_t>(eligible) + stream.next_u32()) >> 32);
  choose_places(stream, eligible, count);

  chosen_.clear();
  for (size_t word = 0; word < is_chosen_.size(); ++word)
    for (uint64_t bits = is_chosen_[word]; bits != 0; bits &= bits - 1) {
      const auto ordinal = static_cast<int32_t>(word * 64) + std::countr_zero(bits);
      chosen_.push_back({all ? ordinal : eligible_[ordinal], ChosenResidue::kMask});
    }
  if (pattern_ == MaskPattern::mask_only) return chosen_;

  for (ChosenResidue& residue : chosen_) {
    const uint32_t draw = stream.next_u32();
    if (draw < kShowMask) continue;
    residue.shown =
        draw < kShowOther ? static_cast<uint8_t>(stream.below(kStandardLetters)) : letters[residue.place];
  }
  return chosen_;
}

// Floyd's sampling: every set of `count` is equally likely, and a bit set gives it back in ascending order.
void Masker::choose_places(RandomStream& stream, int64_t eligible, int64_t count) {
  is_chosen_.assign((eligible + 63) / 64, 0);
  const auto is_set = [&](int64_t i) { return is_chosen_[i / 64] >> (i % 64) & 1; };
  for (int64_t last = eligible - count; last < eligible; ++last) {
    const int64_t drawn = stream.below(static_cast<uint32_t>(last + 1));
    const int64_t added = is_set(drawn) ? last : drawn;
    is_chosen_[added / 64] |= uint64_t{1} << (added % 64);
  }
}

}  // namespace esmscale::data
