// The residues of a sequence that are shown, those that the model must predict, and the tokens in their place
// (docs/data_order.md). Pure functions of (seed, epoch, sequence) and the letters.
#pragma once

#include "esmscale/core/enum_names.h"
#include "esmscale/core/random.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace esmscale::data {

// bert: of the chosen residues 80% show `<mask>`, 10% a random standard amino acid, 10% themselves.
// mask_only: the same residues, all `<mask>`.
enum class MaskPattern { bert, mask_only };

// The source of the draws of a training run, or of a holdout (with its own seed).
enum class MaskSource { training, evaluation };

// Rows of a sequence of `length` residues: those in a window, START and END.
inline int64_t rows_of(int64_t length, int64_t window) {
  return std::min(length, window) + 2;
}

// First residue of the window that represents a sequence of `length` residues; 0 when it fits whole.
int64_t crop_begin(uint64_t seed, MaskSource source, int64_t epoch, int64_t sequence, int64_t length,
                   int64_t window);

// A chosen residue: its place in the window and the letter code that the model sees there.
struct ChosenResidue {
  static constexpr uint8_t kMask = 255;  // `<mask>` instead of a letter
  int32_t place;
  uint8_t shown;
};

// The part of a sequence that is used: a window of its letter codes and the residues chosen in it.
struct MaskedWindow {
  std::span<const uint8_t> letters;
  std::span<const ChosenResidue> chosen;
};

// Keeps scratch space between calls; one per thread.
class Masker {
 public:
  // Usage error unless 0 ≤ mlm_probability ≤ 1.
  Masker(uint64_t seed, MaskSource source, double mlm_probability, MaskPattern pattern = MaskPattern::bert);

  void set_probability(double mlm_probability);  // from the next window on; a usage error as above

  // A window of at most `longest` residues, masked; valid until the next call, its letters as long as
  // `residues`.
  MaskedWindow window(int64_t epoch, int64_t sequence, std::span<const uint8_t> residues, int64_t longest);

  // Chooses k = ⌊p·n + u⌋ of the window's n standard letters, so at most ⌈p·n⌉; ascending places, valid until
  // the next call.
  std::span<const ChosenResidue> choose(int64_t epoch, int64_t sequence, std::span<const uint8_t> letters);

 private:
  void choose_places(RandomStream& stream, int64_t eligible, int64_t count);

  uint64_t seed_;
  MaskSource source_;
  uint64_t probability_;  // in units of 2⁻³²
  MaskPattern pattern_;
  std::vector<int32_t> eligible_;    // places of standard letters, when the window has others too
  std::vector<uint64_t> is_chosen_;  // a bit per eligible residue
  std::vector<ChosenResidue> chosen_;
};

}  // namespace esmscale::data

namespace esmscale {

template <>
struct EnumNames<data::MaskPattern> {
  static constexpr std::pair<data::MaskPattern, std::string_view> table[] = {
      {data::MaskPattern::bert, "bert"}, {data::MaskPattern::mask_only, "mask-only"}};
};

}  // namespace esmscale
