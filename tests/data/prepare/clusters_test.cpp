// prepare --clusters. Oracles: a plain sort in memory by the documented key, and the clusters as they were
// made: sequence i belongs to cluster i mod 97, whose name is that of its first member.
#include "data/prepare/prepare_fixture.h"
#include "esmscale/core/checksum.h"

#include <map>
#include <set>

namespace esmscale::data {
namespace {

constexpr size_t kClusters = 97;

uint64_t key_of(const std::string& cluster, uint64_t seed) {
  return RandomStream(seed, Purpose::shuffle, checksum64(bytes_of(cluster))).next_u64();
}

class Clusters : public Prepare {
 protected:
  PrepareOptions clustered(const NamedProteins& proteins) {
    PrepareOptions given = options(proteins);
    std::string table;
    for (size_t i = 0; i < proteins.size(); ++i)
      table += text("p", i % kClusters, "\t", proteins[i].first, "\n");
    given.clusters = write_fasta(root_ / "clusters.tsv", table);
    return given;
  }

  // Clusters by the key of their name, members as in the input.
  static NamedProteins by_cluster(const NamedProteins& proteins, uint64_t seed) {
    std::map<std::pair<uint64_t, size_t>, std::pair<std::string, std::string>> order;
    for (size_t i = 0; i < proteins.size(); ++i)
      order[{key_of(text("p", i % kClusters), seed), i}] = proteins[i];
    NamedProteins sorted;
    for (const auto& [key, protein] : order) sorted.push_back(protein);
    return sorted;
  }

  static size_t cluster_of(const std::string& name) { return std::stoul(name.substr(1)) % kClusters; }

  std::string refusal(const PrepareOptions& given) {
    return error_of([&] { prepare(given); });
  }
};

TEST_F(Clusters, MembersAreNeighboursInTheOrderOfTheirClustersKeys) {
  const NamedProteins proteins = random_proteins(1000, 30);
  PrepareOptions given = clustered(proteins);
  given.force = true;
  for (const uint64_t seed : {1, 2}) {
    given.seed = seed;
    prepare(given);
    EXPECT_EQ(content("out"), by_cluster(proteins, seed));
  }
  const Dataset dataset(root_ / "out");
  EXPECT_EQ(dataset.epoch_sequences(), int64_t(kClusters));
  int64_t next = 0;
  SequenceReader reader(dataset);
  for (int64_t i = 0; i < dataset.epoch_sequences(); ++i) {
    const SequenceRange members = dataset.cluster(i);
    EXPECT_EQ(members.first, next);
    next += members.count;
    std::set<size_t> clusters;
    for (int64_t s = members.first; s < next; ++s) clusters.insert(cluster_of(reader.identifier(s)));
    EXPECT_EQ(clusters.size(), 1u);
  }
  EXPECT_EQ(next, 1000);
}

TEST_F(Clusters, NeitherMemoryNorCompressionChangesAByte) {
  PrepareOptions given = clustered(random_proteins(3000, 60));
  given.force = given.deduplicate = true;
  prepare(given);
  const std::string expected = folder_bytes("out");
  for (const int64_t memory : {int64_t{8} << 10, int64_t{64} << 10}) {
    given.working_memory = memory;
    EXPECT_GT(prepare(given).temporary_bytes, 0);
    EXPECT_EQ(folder_bytes("out"), expected);
  }
  given.clusters = write_fasta(given.clusters, zstd_frame(bytes_in(given.clusters)));
  prepare(given);
  EXPECT_EQ(folder_bytes("out"), expected);
}

// The holdout has the member after which the cluster is named, and no training sequence is of its clusters.
TEST_F(Clusters, AreHeldOutAndLimitedAsWholes) {
  const NamedProteins proteins = random_proteins(1000, 30);
  PrepareOptions given = clustered(proteins);
  given.holdout = 10;
  given.holdout_output = root_ / "holdout";
  given.limit = 50;
  prepare(given);
  std::set<size_t> trained, held_out;
  for (const auto& [name, letters] : content("out")) trained.insert(cluster_of(name));
  for (const auto& [name, letters] : content("holdout")) {
    EXPECT_LT(std::stoul(name.substr(1)), kClusters) << "the name of a cluster";
    held_out.insert(cluster_of(name));
  }
  EXPECT_EQ(trained.size(), 50u);
  EXPECT_EQ(held_out.size(), 10u);
  for (const size_t cluster : held_out) EXPECT_FALSE(trained.contains(cluster));
  EXPECT_EQ(Dataset(root_ / "holdout").manifest().clusters, 0);
  given.force = true;
  given.limit = 88;
  EXPECT_THAT(refusal(given), AllOf(HasSubstr("--limit"), HasSubstr("87 clusters")));
}

TEST_F(Clusters, ASequenceThatTheTableLacksIsAClusterOfItsOwn) {
  NamedProteins proteins = random_proteins(300, 30);
  PrepareOptions given = clustered(proteins);
  proteins.emplace_back("other1", "MKT");
  proteins.emplace_back("other2", "MKTA");
  write_fasta(given.inputs[0], fasta_text(proteins));
  const PrepareSummary summary = prepare(given);
  EXPECT_EQ(summary.train.clusters, int64_t(kClusters + 2));
  EXPECT_EQ(to_json(summary.counts)["unclustered"], 2);
  ASSERT_EQ(summary.warnings.size(), 1u);
  EXPECT_THAT(summary.warnings[0], HasSubstr("2 of 302 sequences"));
}

// The second copies of two clusters go, and with them a cluster that has nothing else.
TEST_F(Clusters, ThatDuplicatesLeaveEmptyAreNone) {
  const NamedProteins proteins{{"a", "MKTAY"}, {"b", "MKTAV"}, {"c", "MKTAY"}, {"d", "MKTAV"}, {"e", "MLL"}};
  PrepareOptions given = options(proteins);
  given.clusters = write_fasta(root_ / "t.tsv", "x a\nx b\ny c\ny d\nz e\n");
  given.deduplicate = true;
  const PrepareSummary summary = prepare(given);
  EXPECT_EQ(summary.train.clusters, 2);
  EXPECT_EQ(summary.train.sequences, 3);
}

TEST_F(Clusters, TablesThatAreNone) {
  const NamedProteins proteins = random_proteins(20, 30);
  PrepareOptions given = options(proteins);
  const auto table = [&](const std::string& content) {
    given.clusters = write_fasta(root_ / "t.tsv", content);
    return refusal(given);
  };
  EXPECT_THAT(table("a p1\nb\n"), AllOf(HasSubstr("t.tsv, line 2"), HasSubstr("1 column")));
  EXPECT_THAT(table("a p1 c\n"), HasSubstr("3 columns"));
  EXPECT_THAT(table("a p1\nb p2\nc p1\n"),
              AllOf(HasSubstr("one cluster for the member p1"), HasSubstr("a, c")));
  EXPECT_THAT(table("a q1\n"), AllOf(HasSubstr("none among 1"), HasSubstr("'p0'")));
  given.allow_missing = true;
  EXPECT_EQ(table("a q1\n"), "no error");
  given.keep_order = true;
  EXPECT_THAT(refusal(given), HasSubstr("--keep-order"));
  given.keep_order = false;
  given.clusters = root_ / "absent.tsv";
  EXPECT_THAT(refusal(given), HasSubstr("absent.tsv"));
}

TEST_F(Clusters, AChangedFileOfClustersIsAnError) {
  prepare(clustered(random_proteins(300, 30)));
  const std::filesystem::path file = root_ / "out" / "clusters.bin";
  std::string bytes = bytes_in(file);
  bytes[sizeof(FileHeader) + 8] ^= 1;
  put_bytes(file, bytes);
  EXPECT_THAT(error_of([&] { Dataset(root_ / "out"); }),
              AllOf(HasSubstr("clusters.bin"), HasSubstr("checksum")));
  std::filesystem::remove(file);
  EXPECT_THAT(error_of([&] { Dataset(root_ / "out"); }), HasSubstr("clusters.bin"));
}

}  // namespace
}  // namespace esmscale::data
