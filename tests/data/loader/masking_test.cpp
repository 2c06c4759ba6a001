#include "esmscale/data/loader/masking.h"

#include "esmscale/core/error.h"
#include "esmscale/data/alphabet.h"

#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

constexpr MaskSource kTraining = MaskSource::training;

std::vector<uint8_t> random_letters(int64_t count, uint64_t subject, uint32_t kinds = kStandardLetters) {
  RandomStream stream(11, Purpose::test, subject);
  std::vector<uint8_t> letters(count);
  for (uint8_t& letter : letters) letter = static_cast<uint8_t>(stream.below(kinds));
  return letters;
}

// Within `errors` standard errors of a binomial: for 6, a chance of 2e-9 a comparison.
void expect_rate(double hits, double trials, double rate, const char* what) {
  constexpr double kErrors = 6;
  EXPECT_NEAR(hits / trials, rate, kErrors * std::sqrt(rate * (1 - rate) / trials)) << what;
}

// Oracle: fairseq's count rule: floor(p·n) or one more, the mean p·n.
TEST(Masking, CountIsFloorOfPNPlusU) {
  Masker masker(1, kTraining, 0.15);
  for (const int64_t n : {1, 3, 7, 100, 1022}) {
    const std::vector<uint8_t> letters = random_letters(n, 0);
    constexpr int kTrials = 4000;
    double above = 0;
    for (int sequence = 0; sequence < kTrials; ++sequence) {
      const auto k = static_cast<double>(masker.choose(0, sequence, letters).size());
      const double least = std::floor(0.15 * static_cast<double>(n));
      ASSERT_GE(k, least);
      ASSERT_LE(k, least + 1);
      above += k - least;
    }
    const double fraction = 0.15 * static_cast<double>(n) - std::floor(0.15 * static_cast<double>(n));
    expect_rate(above, kTrials, fraction, "count one above the floor");
  }
}

TEST(Masking, NoEligibleResidueGivesNothing) {
  Masker masker(1, kTraining, 1.0);
  const std::vector<uint8_t> unknown(50, kUnknownLetter);
  EXPECT_TRUE(masker.choose(0, 0, unknown).empty());
  EXPECT_TRUE(masker.choose(0, 0, {}).empty());
}

// Places ascend, none twice, and only the 20 standard letters are ever chosen.
TEST(Masking, ChoosesStandardLettersOnceInAscendingOrder) {
  Masker masker(1, kTraining, 0.4);
  for (int sequence = 0; sequence < 500; ++sequence) {
    const std::vector<uint8_t> letters = random_letters(200, sequence, 25);
    int32_t before = -1;
    for (const ChosenResidue& residue : masker.choose(0, sequence, letters)) {
      ASSERT_GT(residue.place, before);
      ASSERT_LT(letters.at(residue.place), kStandardLetters);
      before = residue.place;
    }
  }
}

// Oracle: without replacement and fair, every set of 2 of 5 has probability 1/10. With X in between the sets
// are the same ones of the standard letters.
TEST(Masking, EverySetIsEquallyLikely) {
  Masker masker(1, kTraining, 0.4);
  const std::vector<uint8_t> letters{0, 1, 2, kUnknownLetter, 3, 4};
  std::array<double, 64> hits{};
  constexpr int kTrials = 20'000;
  for (int sequence = 0; sequence < kTrials; ++sequence) {
    int set = 0;
    for (const ChosenResidue& residue : masker.choose(0, sequence, letters)) set |= 1 << residue.place;
    ++hits[set];
  }
  int sets = 0;
  for (const double count : hits) {
    if (count == 0) continue;
    ++sets;
    expect_rate(count, kTrials, 0.1, "a pair");
  }
  EXPECT_EQ(sets, 10);
}

// Oracle: BERT's 80 / 10 / 10; a random letter is the true one in 1 of 20, so 10.5% look unchanged.
TEST(Masking, ShowsEightyTenTen) {
  Masker masker(7, kTraining, 0.15);
  double chosen = 0, masked = 0, unchanged = 0;
  std::array<double, kStandardLetters> other{};
  for (int sequence = 0; sequence < 2000; ++sequence) {
    const std::vector<uint8_t> letters = random_letters(400, sequence);
    for (const ChosenResidue& residue : masker.choose(0, sequence, letters)) {
      ++chosen;
      masked += residue.shown == ChosenResidue::kMask;
      unchanged += residue.shown == letters[residue.place];
      if (residue.shown != ChosenResidue::kMask && residue.shown != letters[residue.place])
        ++other.at(residue.shown);
    }
  }
  expect_rate(chosen, 2000.0 * 400, 0.15, "chosen");
  expect_rate(masked, chosen, 0.8, "shown as <mask>");
  expect_rate(unchanged, chosen, 0.105, "shown as themselves");
  const double others = std::accumulate(other.begin(), other.end(), 0.0);
  for (const double count : other) expect_rate(count, others, 0.05, "each other letter");
}

TEST(Masking, IsAPureFunction) {
  const std::vector<uint8_t> letters = random_letters(300, 0);
  const auto places = [&](uint64_t seed, MaskSource source, int64_t epoch, int64_t sequence) {
    Masker masker(seed, source, 0.15);
    masker.choose(5, 77, random_letters(40, 3, 25));  // what a masker did before leaves no trace
    std::vector<int32_t> found;
    for (const ChosenResidue& residue : masker.choose(epoch, sequence, letters)) {
      found.push_back(residue.place);
      found.push_back(residue.shown);
    }
    return found;
  };
  const std::vector<int32_t> base = places(1, kTraining, 0, 9);
  EXPECT_EQ(base, places(1, kTraining, 0, 9));
  EXPECT_NE(base, places(2, kTraining, 0, 9));
  EXPECT_NE(base, places(1, kTraining, 1, 9));
  EXPECT_NE(base, places(1, kTraining, 0, 10));
  EXPECT_NE(base, places(1, MaskSource::evaluation, 0, 9));
}

TEST(Masking, BothPatternsChooseTheSameResidues) {
  Masker bert(1, MaskSource::evaluation, 0.15),
      mask_only(1, MaskSource::evaluation, 0.15, MaskPattern::mask_only);
  for (int sequence = 0; sequence < 100; ++sequence) {
    const std::vector<uint8_t> letters = random_letters(300, sequence, 25);
    const auto a = bert.choose(0, sequence, letters), b = mask_only.choose(0, sequence, letters);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].place, b[i].place);
      ASSERT_EQ(b[i].shown, ChosenResidue::kMask);
    }
  }
}

TEST(Masking, ProbabilityOutOfRangeIsAUsageError) {
  for (const double p : {-0.1, 1.1, std::nan("")}) {
    try {
      Masker(1, kTraining, p);
      FAIL() << p;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
    }
  }
}

// Oracle: each of the 11 windows of 10 in 20 residues with probability 1/11.
TEST(Crop, WindowsAreUniformAndFresh) {
  std::array<double, 11> hits{};
  constexpr int kTrials = 20'000;
  for (int sequence = 0; sequence < kTrials; ++sequence)
    ++hits.at(crop_begin(1, kTraining, 0, sequence, 20, 10));
  for (const double count : hits) expect_rate(count, kTrials, 1.0 / 11, "a window");

  int moved = 0;
  for (int epoch = 0; epoch < 20; ++epoch)
    moved += crop_begin(1, kTraining, epoch, 5, 10'000, 1022) !=
             crop_begin(1, kTraining, epoch + 1, 5, 10'000, 1022);
  EXPECT_GT(moved, 17);
}

TEST(Crop, WhatFitsIsWhole) {
  EXPECT_EQ(crop_begin(1, kTraining, 0, 3, 1022, 1022), 0);
  EXPECT_EQ(crop_begin(1, kTraining, 0, 3, 1, 1022), 0);
}

// Masks and crops are part of a checkpoint's meaning: these numbers may change only with kDataOrderVersion.
// They were taken from the first version.
TEST(Masking, StaysAsItWas) {
  std::vector<uint8_t> letters(40);
  std::iota(letters.begin(), letters.end(), uint8_t{0});
  for (uint8_t& letter : letters) letter %= kStandardLetters;
  Masker masker(42, kTraining, 0.15);
  std::vector<int32_t> found{static_cast<int32_t>(crop_begin(42, kTraining, 2, 1000, 5000, 1022))};
  for (const ChosenResidue& residue : masker.choose(2, 1000, letters)) {
    found.push_back(residue.place);
    found.push_back(residue.shown);
  }
  EXPECT_EQ(found, (std::vector<int32_t>{1275, 9, 255, 21, 255, 22, 0, 27, 255, 31, 255, 37, 255}));
}

}  // namespace
}  // namespace esmscale::data
