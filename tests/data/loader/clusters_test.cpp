// Epochs of one member a cluster. Oracles: the clusters as they were made, the documented draw computed once
// more, and the batches of a data set that holds the drawn members alone.
#include "data/dataset/small_set.h"
#include "data/loader/batch_content.h"
#include "esmscale/core/random.h"
#include "esmscale/data/loader/loader.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <gmock/gmock.h>

namespace esmscale::data {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kClusters = 400;

// Cluster i has 1 + i mod 5 members.
int64_t members_of(int64_t cluster) {
  return 1 + cluster % 5;
}

class ClusteredEpochs : public testing::Test {
 protected:
  ClusteredEpochs() {
    std::filesystem::create_directories(folder_ / "set");
    std::filesystem::create_directories(folder_ / "temporary");
    const NamedProteins proteins = random_proteins(5 * kClusters, 60);
    ThreadPool workers(1);
    DatasetWriter writer(folder_ / "set", folder_ / "temporary", workers, {.rule = kSmallFrames});
    size_t next = 0;
    for (int64_t cluster = 0; cluster < kClusters; ++cluster) {
      writer.begin_cluster();
      firsts_.push_back(int64_t(next));
      for (int64_t i = 0; i < members_of(cluster); ++i, ++next)
        writer.add(proteins[next].first, codes_of(proteins[next].second));
    }
    writer.finish("", Json::object());
    dataset_.emplace(folder_ / "set");
  }

  static LoaderOptions options() {
    return {.seed = 9,
            .max_seq_len = 100,
            .pack_tokens = 256,
            .batch_tokens = 1024,
            .micro_batch_tokens = 512,
            .epochs = 3};
  }

  // The sequences of each batch, in its order.
  std::vector<std::vector<int64_t>> sequences(const LoaderOptions& options, DataState from = {}) {
    std::vector<std::vector<int64_t>> batches;
    Loader loader(*dataset_, options, from);
    while (const std::optional<GlobalBatch> batch = loader.next()) {
      std::vector<Seen> seen;
      for (const PackedBatch& micro : batch->micro_batches) append_content(micro, seen);
      batches.emplace_back();
      for (const Seen& one : seen) batches.back().push_back(one.sequence);
      states_.push_back(batch->begin);
      tokens_[batch->begin.epoch] += batch->tokens;
    }
    return batches;
  }

  int64_t cluster_of(int64_t sequence) const {
    return std::upper_bound(firsts_.begin(), firsts_.end(), sequence) - firsts_.begin() - 1;
  }

  TemporaryFolder folder_;
  std::vector<int64_t> firsts_;  // sequence of each cluster
  std::optional<Dataset> dataset_;
  std::vector<DataState> states_;      // of all batches of sequences()
  std::map<int64_t, int64_t> tokens_;  // by epoch
};

TEST_F(ClusteredEpochs, TrainEachClusterOnceByTheDocumentedDraw) {
  const auto batches = sequences(options());
  std::map<int64_t, std::set<int64_t>> by_epoch;
  for (size_t i = 0; i < batches.size(); ++i)
    for (const int64_t sequence : batches[i]) {
      const int64_t cluster = cluster_of(sequence), epoch = states_[i].epoch;
      EXPECT_TRUE(by_epoch[epoch].insert(cluster).second) << "cluster " << cluster << " twice";
      RandomStream stream(9, Purpose::cluster, uint64_t(cluster), uint32_t(epoch));
      const int64_t drawn = members_of(cluster) > 1 ? stream.below(uint32_t(members_of(cluster))) : 0;
      EXPECT_EQ(sequence, firsts_[size_t(cluster)] + drawn);
    }
  ASSERT_EQ(by_epoch.size(), 3u);
  for (const auto& [epoch, clusters] : by_epoch) EXPECT_EQ(clusters.size(), size_t(kClusters));
}

// 80 clusters of five members over 60 epochs: 960 draws of each place, ± 28.
TEST_F(ClusteredEpochs, DrawEveryMemberEquallyOften) {
  LoaderOptions many = options();
  many.epochs = 60;
  std::map<int64_t, int> drawn;
  for (const auto& batch : sequences(many))
    for (const int64_t sequence : batch)
      if (const int64_t cluster = cluster_of(sequence); members_of(cluster) == 5)
        ++drawn[sequence - firsts_[size_t(cluster)]];
  ASSERT_EQ(drawn.size(), 5u);
  for (const auto& [place, count] : drawn) EXPECT_NEAR(count, 960, 5 * 28) << place;
}

TEST_F(ClusteredEpochs, ResumeAtEveryBatch) {
  const auto all = sequences(options());
  const std::vector<DataState> states = states_;
  for (size_t i = 0; i < all.size(); i += 5) {
    const auto rest = sequences(options(), states[i]);
    ASSERT_EQ(rest.size(), all.size() - i);
    EXPECT_EQ(rest, std::vector(all.begin() + ptrdiff_t(i), all.end())) << i;
  }
}

TEST_F(ClusteredEpochs, TokensAreCountedAsDrawn) {
  sequences(options());
  const int64_t all = tokens_[0] + tokens_[1] + tokens_[2];
  EXPECT_NE(tokens_[0], tokens_[1]);
  EXPECT_EQ(tokens_per_epoch(*dataset_, options()).tokens, all / 3);
  LoaderOptions one = options();
  one.epochs = 1;
  EXPECT_EQ(tokens_per_epoch(*dataset_, one).tokens, tokens_[0]);
  int64_t members = 0;
  for (const uint32_t length : dataset_->lengths()) members += std::min<int64_t>(length, 98) + 2;
  EXPECT_EQ(unique_tokens(*dataset_, options()), members);
}

TEST_F(ClusteredEpochs, APrefixIsOfClusters) {
  LoaderOptions some = options();
  some.sequences = 100;
  some.epochs = 1;
  std::set<int64_t> clusters;
  for (const auto& batch : sequences(some))
    for (const int64_t sequence : batch) clusters.insert(cluster_of(sequence));
  EXPECT_EQ(clusters.size(), 100u);
  EXPECT_EQ(*clusters.rbegin(), 99);
  some.sequences = kClusters + 1;
  EXPECT_THAT(usage_error_of([&] { Loader(*dataset_, some); }), HasSubstr("the data set has 400 clusters"));
}

TEST_F(ClusteredEpochs, HaveADataOrderOfTheirOwn) {
  EXPECT_EQ(data_order_version(*dataset_), 2);
  write_set(folder_ / "plain", random_proteins(20, 30));
  EXPECT_EQ(data_order_version(Dataset(folder_ / "plain")), 1);
}

}  // namespace
}  // namespace esmscale::data
