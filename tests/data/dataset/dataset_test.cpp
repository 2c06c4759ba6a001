// Letter statistics and the search for sequences that two data sets share.
#include "esmscale/data/dataset/dataset.h"

#include "data/dataset/fingerprints.h"
#include "data/dataset/small_set.h"
#include "support/error_of.h"

#include <cmath>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace esmscale::data {
namespace {

using testing::HasSubstr;

TEST(LetterStatistics, OfEvenLettersHaveAClosedForm) {
  std::vector<int64_t> even(25, 0);
  std::fill_n(even.begin(), 20, 7);
  // Shown letter s: ½ that it is the true one, ½·1/20 for each of the 20.
  const double same = 0.5 + 0.5 / 20, other = 0.5 / 20;
  const double shown = -same * std::log(same) - 19 * other * std::log(other);
  EXPECT_NEAR(unigram_entropy(even), std::log(20), 1e-12);  // rounding of twenty terms
  EXPECT_NEAR(bert_baseline_loss(even), 0.8 * std::log(20) + 0.2 * shown, 1e-12);
}

TEST(LetterStatistics, WithoutStandardLettersNothingIsToBeGuessed) {
  std::vector<int64_t> unknown(25, 0);
  unknown[24] = 10;
  EXPECT_EQ(bert_baseline_loss(unknown), 0);
}

// Oracle: a million draws of BERT's corruption, guessed by the exact posterior. The tolerance is five
// standard errors of a loss that spreads over about 1.5 nats: 5 · 1.5 / √10⁶ = 0.0075.
TEST(LetterStatistics, AgreeWithSimulatedMasking) {
  std::vector<int64_t> counts = {99, 83, 71, 69, 66, 62, 55, 54,  59, 55, 48, 58, 39,
                                 41, 39, 29, 24, 23, 11, 14, 900, 3,  2,  1,  5};
  std::vector<double> p;
  double total = 0;
  for (int i = 0; i < 20; ++i) total += static_cast<double>(counts[static_cast<size_t>(i)]);
  for (int i = 0; i < 20; ++i) p.push_back(static_cast<double>(counts[static_cast<size_t>(i)]) / total);
  RandomStream stream(1, Purpose::test, 0);
  const auto draw_letter = [&] {
    double u = stream.uniform();
    size_t letter = 0;
    while (letter < 19 && u >= p[letter]) u -= p[letter++];
    return letter;
  };
  double loss = 0;
  constexpr int kDraws = 1'000'000;
  for (int draw = 0; draw < kDraws; ++draw) {
    const size_t truth = draw_letter();
    const double u = stream.uniform();
    if (u < 0.8) {
      loss -= std::log(p[truth]);
      continue;
    }
    const size_t shown = u < 0.9 ? stream.below(20) : truth;
    loss -=
        std::log(((truth == shown ? 0.5 * p[truth] : 0) + 0.5 * p[truth] / 20) / (0.5 * p[shown] + 0.5 / 20));
  }
  EXPECT_NEAR(bert_baseline_loss(counts), loss / kDraws, 0.0075);
}

TEST(LetterStatistics, IgnoreLettersThatAreNotStandard) {
  std::vector<int64_t> counts(25, 0);
  counts[3] = 10;
  counts[20] = 1000;
  EXPECT_EQ(unigram_entropy(counts), 0);
  EXPECT_EQ(unigram_entropy(std::vector<int64_t>(25, 0)), 0);
}

class Overlaps : public testing::Test {
 protected:
  Dataset make(const std::string& name, const NamedProteins& proteins) {
    write_set(root_ / name, proteins);
    return Dataset(root_ / name);
  }
  TemporaryFolder root_;
};

// Oracle: a std::set of the residues. Lengths of 1 to 6 letters: many sequences repeat, inside and across.
TEST_F(Overlaps, AgreeWithASetOfStrings) {
  const NamedProteins train_proteins = random_proteins(5000, 3, 1),
                      holdout_proteins = random_proteins(700, 3, 2);
  const Dataset train = make("train", train_proteins), holdout = make("holdout", holdout_proteins);
  for (const int64_t used : {int64_t{0}, int64_t{1}, int64_t{40}, int64_t{1023}, int64_t{5000}}) {
    std::set<std::string> seen;
    for (int64_t i = 0; i < used; ++i) seen.insert(train_proteins[static_cast<size_t>(i)].second);
    std::vector<std::string> shared;
    for (const auto& [name, letters] : holdout_proteins)
      if (seen.contains(letters)) shared.push_back(name);
    const Overlap overlap = find_overlap(holdout, train, used);
    EXPECT_EQ(overlap.count, static_cast<int64_t>(shared.size())) << used;
    shared.resize(std::min<size_t>(5, shared.size()));
    EXPECT_EQ(overlap.examples, shared);
  }
}

TEST_F(Overlaps, OfASetWithItselfIsAllOfIt) {
  const Dataset set = make("set", random_proteins(3000, 20));
  EXPECT_EQ(find_overlap(set, set, 3000).count, 3000);
}

// Half of the training set is one sequence: its fingerprint fills blocks, and guesses by value fail.
TEST_F(Overlaps, SurviveASequenceThatFillsBlocks) {
  NamedProteins proteins = random_proteins(6000, 20);
  for (size_t i = 0; i < proteins.size(); i += 2) proteins[i].second = "MKV";
  const Dataset train = make("train", proteins);
  const Dataset holdout =
      make("holdout", {{"often", "MKV"}, {"never", "WWWWW"}, {"once", proteins[5999].second}});
  EXPECT_EQ(find_overlap(holdout, train, 6000).examples, (std::vector<std::string>{"often", "once"}));
  EXPECT_EQ(find_overlap(holdout, train, 1).count, 1);
}

// The lookup reads little: two blocks of 16 KiB a look-up, of a file of sixty.
TEST_F(Overlaps, ReadTwoBlocksALookup) {
  write_set(root_ / "train", random_proteins(60000, 4));
  size_t blocks = 0;
  const Dataset train(root_ / "train", [&](int descriptor, std::span<std::byte> into, uint64_t offset) {
    blocks += into.size() == sizeof(FingerprintBlock);
    return ::pread(descriptor, into.data(), into.size(), static_cast<off_t>(offset));
  });
  FingerprintLookup lookup(train.impl());
  RandomStream stream(1, Purpose::test, 0);
  for (int i = 0; i < 200; ++i) lookup.find(stream.next_u64());
  EXPECT_LE(blocks, 400u);
}

TEST_F(Overlaps, DamagedFingerprintsAreAnError) {
  const Dataset holdout = make("holdout", random_proteins(10, 20));
  make("train", random_proteins(100, 20));
  std::string bytes = bytes_in(root_ / "train" / "fingerprints.bin");
  bytes[200] = static_cast<char>(bytes[200] ^ 1);
  put_bytes(root_ / "train" / "fingerprints.bin", bytes);
  const Dataset train(root_ / "train");
  EXPECT_THAT(error_of([&] { find_overlap(holdout, train, 100); }), HasSubstr("fingerprints.bin"));
}

}  // namespace
}  // namespace esmscale::data
