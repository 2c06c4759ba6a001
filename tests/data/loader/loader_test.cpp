#include "data/loader/loading.h"
#include "data/loader/packing.h"
#include "esmscale/core/error.h"
#include "esmscale/data/loader/masking.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

using testing::HasSubstr;

std::vector<Seen> sorted(std::vector<Seen> seen) {
  std::sort(seen.begin(), seen.end());
  return seen;
}

TEST(Loader, EverySequenceOnceAnEpochAndStatesThatChain) {
  std::vector<std::vector<int64_t>> epochs(2);
  DataState state;
  for (const GlobalBatch& batch : all_batches(options())) {
    EXPECT_EQ(batch.begin, state);
    state = batch.end;
    for (const Seen& seen : content(batch)) epochs.at(batch.begin.epoch).push_back(seen.sequence);
  }
  EXPECT_EQ(state, (DataState{2, 0}));
  std::vector<int64_t> each(dataset().sequences());
  std::iota(each.begin(), each.end(), 0);
  for (std::vector<int64_t>& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    EXPECT_EQ(epoch, each);
  }
}

// Oracle: the stored letters. Undoing the masks gives START, a window of them, END; the chosen residues are
// those of the masking rule, which has tests of its own.
TEST(Loader, ShowsTheStoredLettersMaskedByTheRule) {
  const TokenList& tokens = TokenList::of(33);
  LoaderOptions with_33 = options();
  with_33.tokens = &tokens;
  Masker masker(9, MaskSource::training, 0.15);
  SequenceReader reader(dataset());
  int64_t cropped = 0, masked = 0;
  for (const GlobalBatch& batch : all_batches(with_33))
    for (const Seen& seen : content(batch)) {
      const auto residues = reader.residues(seen.sequence);
      const MaskedWindow window = masker.window(batch.begin.epoch, seen.sequence, residues, 126);
      Seen expected{.sequence = seen.sequence, .tokens = {tokens.start()}};
      for (const uint8_t letter : window.letters) expected.tokens.push_back(tokens.letter(letter));
      expected.tokens.push_back(tokens.end());
      for (const ChosenResidue& residue : window.chosen) {
        int32_t& token = expected.tokens[residue.place + 1];
        expected.masked.emplace_back(residue.place + 1, token);
        token = residue.shown == ChosenResidue::kMask ? tokens.mask() : tokens.letter(residue.shown);
        expected.mask_count += residue.shown == ChosenResidue::kMask;
      }
      ASSERT_EQ(seen, expected) << "sequence " << seen.sequence;
      cropped += residues.size() > window.letters.size();
      masked += expected.mask_count;
    }
  EXPECT_GT(cropped, 50);
  EXPECT_GT(masked, 10'000);
}

// Oracle: sums over what the batches hold, and one pass over the lengths.
TEST(Loader, CountsTheWholeGlobalBatch) {
  int64_t first_epoch = 0;
  for (const GlobalBatch& batch : all_batches(options())) {
    int64_t tokens = 0, sequences = 0, masked = 0;
    double squared = 0;
    for (const PackedBatch& micro : batch.micro_batches) {
      EXPECT_EQ(micro.real_tokens, micro.rows());
      EXPECT_EQ(micro.real_masked, static_cast<int64_t>(micro.targets.size()));
      EXPECT_TRUE(std::is_sorted(micro.masked_rows.begin(), micro.masked_rows.end()));
      tokens += micro.real_tokens;
      sequences += micro.real_sequences;
      masked += micro.real_masked;
    }
    for (const Seen& seen : content(batch))
      squared += static_cast<double>(seen.tokens.size() * seen.tokens.size());
    EXPECT_EQ(batch.tokens, tokens);
    EXPECT_EQ(batch.sequences, sequences);
    EXPECT_EQ(batch.squared_tokens, squared);
    EXPECT_GT(masked, 0);
    EXPECT_LE(batch.packs, 8);
    first_epoch += batch.begin.epoch == 0 ? batch.tokens : 0;
  }
  EXPECT_EQ(tokens_per_epoch(dataset(), options()).tokens, first_epoch);
}

// Oracle: one rank's batches. At most ⌈packs / ranks⌉ packs each, as many micro-batches on every rank; 7
// ranks leave one of 8 packs to rank 0 alone.
TEST(Loader, RanksTogetherSeeTheBatchesOfOne) {
  const std::vector<GlobalBatch> alone = all_batches(options());
  for (const int ranks : {2, 3, 4, 7}) {
    std::vector<std::vector<GlobalBatch>> by_rank;
    for (int rank = 0; rank < ranks; ++rank) {
      LoaderOptions share = options();
      share.rank = rank;
      share.ranks = ranks;
      by_rank.push_back(all_batches(share));
      ASSERT_EQ(by_rank.back().size(), alone.size());
    }
    for (size_t i = 0; i < alone.size(); ++i) {
      std::vector<Seen> together;
      for (const std::vector<GlobalBatch>& batches : by_rank) {
        const std::vector<Seen> mine = content(batches[i]);
        together.insert(together.end(), mine.begin(), mine.end());
        int64_t rows = 0;
        for (const PackedBatch& micro : batches[i].micro_batches) rows += micro.rows();
        EXPECT_LE(rows, (alone[i].packs + ranks - 1) / ranks * 256);
        EXPECT_EQ(batches[i].micro_batches.size(), by_rank[0][i].micro_batches.size());
        EXPECT_EQ(batches[i].tokens, alone[i].tokens);
        EXPECT_EQ(batches[i].end, alone[i].end);
      }
      ASSERT_EQ(sorted(together), sorted(content(alone[i]))) << ranks << " ranks, batch " << i;
    }
  }
}

TEST(Loader, MicroBatchesDivideTheSameRows) {
  const std::vector<GlobalBatch> base = all_batches(options());
  for (const int64_t micro_batch_tokens : {256, 768, 2048}) {
    LoaderOptions divided = options();
    divided.micro_batch_tokens = micro_batch_tokens;
    const std::vector<GlobalBatch> batches = all_batches(divided);
    ASSERT_EQ(batches.size(), base.size());
    for (size_t i = 0; i < base.size(); ++i) {
      ASSERT_EQ(content(batches[i]), content(base[i]));
      for (const PackedBatch& micro : batches[i].micro_batches) EXPECT_LE(micro.rows(), micro_batch_tokens);
    }
  }
}

TEST(Loader, ThreadsDoNotMatter) {
  const std::vector<GlobalBatch> base = all_batches(options());
  for (const int threads : {2, 5}) {
    LoaderOptions threaded = options();
    threaded.threads = threads;
    const std::vector<GlobalBatch> batches = all_batches(threaded);
    ASSERT_EQ(batches.size(), base.size());
    for (size_t i = 0; i < base.size(); ++i) ASSERT_EQ(content(batches[i]), content(base[i]));
  }
}

TEST(Loader, ResumesAtEveryState) {
  const std::vector<GlobalBatch> base = all_batches(options());
  for (size_t i = 0; i < base.size(); ++i) {
    Loader resumed(dataset(), options(), base[i].begin);
    for (size_t j = i; j < std::min(i + 2, base.size()); ++j) {
      const std::optional<GlobalBatch> batch = resumed.next();
      ASSERT_TRUE(batch);
      ASSERT_EQ(content(*batch), content(base[j])) << "batch " << j << " resumed at " << i;
      ASSERT_EQ(batch->end, base[j].end);
    }
  }
  // The end of an epoch and the beginning of the next one are the same place.
  EXPECT_EQ(content(*Loader(dataset(), options(), {0, 1500}).next()),
            content(*Loader(dataset(), options(), {1, 0}).next()));
  EXPECT_FALSE(Loader(dataset(), options(), {2, 0}).next());
  EXPECT_FALSE(Loader(dataset(), options(), {1, 1500}).next());
}

TEST(Loader, SeedEpochAndPrefixMatter) {
  const std::vector<GlobalBatch> base = all_batches(options());
  LoaderOptions other = options();
  other.seed = 10;
  EXPECT_NE(content(all_batches(other)[0]), content(base[0]));
  EXPECT_NE(content(*Loader(dataset(), options(), {1, 0}).next()), content(base[0]));

  other = options();
  other.sequences = 400;
  other.epochs = 1;
  std::set<int64_t> seen;
  int64_t tokens = 0;
  for (const GlobalBatch& batch : all_batches(other)) {
    tokens += batch.tokens;
    for (const Seen& one : content(batch)) seen.insert(one.sequence);
  }
  EXPECT_EQ(seen.size(), 400u);
  EXPECT_EQ(*seen.rbegin(), 399);
  EXPECT_EQ(tokens, tokens_per_epoch(dataset(), other).tokens);
}

TEST(Loader, ContradictionsAreOneUsageError) {
  const struct {
    void (*change)(LoaderOptions&);
    const char* said;
  } cases[] = {
      {[](LoaderOptions& o) { o.sequences = 1501; }, "data.sequences is 1501, the data set has 1500"},
      {[](LoaderOptions& o) { o.max_seq_len = 2; }, "data.max_seq_len is 2"},
      {[](LoaderOptions& o) { o.pack_tokens = 127; }, "train.pack_tokens is 127, less than data.max_seq_len"},
      {[](LoaderOptions& o) { o.batch_tokens = 2000; }, "train.batch_tokens is 2000, not a multiple"},
      {[](LoaderOptions& o) { o.micro_batch_tokens = 0; }, "train.micro_batch_tokens is 0, not a multiple"},
      {[](LoaderOptions& o) { o.rank = 2; }, "rank 2 of 1"},
      {[](LoaderOptions& o) { o.ranks = 9; }, "9 ranks share 8 packs"},
      {[](LoaderOptions& o) { o.mlm_probability = 1.5; }, "masking.mlm_probability is 1.5"},
      {[](LoaderOptions& o) { o.epochs = 0; }, "train.epochs is 0"},
      {[](LoaderOptions& o) { o.threads = 0; }, "threads is 0"},
  };
  LoaderOptions all = options();
  for (const auto& [change, said] : cases) {
    LoaderOptions wrong = options();
    change(wrong);
    change(all);
    EXPECT_THAT(usage_error_of([&] { Loader(dataset(), wrong); }), HasSubstr(said));
  }
  EXPECT_THAT(usage_error_of([] { Loader(dataset(), options(), {0, 1501}); }), HasSubstr("sequence 1501"));
  EXPECT_THAT(usage_error_of([&] { Loader(dataset(), all); }),
              testing::AllOf(HasSubstr("data.sequences is 1501"), HasSubstr("threads is 0")));
}

}  // namespace
}  // namespace esmscale::data
