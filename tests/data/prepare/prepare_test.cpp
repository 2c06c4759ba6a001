// prepare: what it keeps, in which order, and that nothing of the machine shows. Oracles: a plain sort in
// memory by the documented key, and sets of strings.
#include "esmscale/data/prepare/prepare.h"

#include "data/prepare/prepare_fixture.h"
#include "data/prepare/records.h"

#include <algorithm>
#include <map>
#include <set>

namespace esmscale::data {
namespace {

TEST_F(Prepare, OrderIsThatOfTheKeys) {
  const NamedProteins proteins = random_proteins(1000, 30);
  prepare(options(proteins));
  EXPECT_EQ(content("out"), shuffled(proteins, 1));
  PrepareOptions other = options(proteins);
  other.seed = 2;
  other.force = true;
  prepare(other);
  EXPECT_EQ(content("out"), shuffled(proteins, 2));
}

// What esmscale fasta wrote comes back as it stood, however it is spilled: a prefix stays a prefix.
TEST_F(Prepare, KeptOrderIsThatOfTheInput) {
  const NamedProteins proteins = random_proteins(2000, 60);
  PrepareOptions given = options(proteins);
  given.keep_order = given.force = true;
  for (const int64_t memory : {int64_t{8} << 10, int64_t{64} << 20}) {
    given.working_memory = memory;
    EXPECT_EQ(prepare(given).temporary_bytes > 0, memory < 64 << 20);
    EXPECT_EQ(content("out"), proteins);
  }
}

TEST_F(Prepare, SeveralInputsAreOneAfterAnother) {
  const NamedProteins proteins = random_proteins(300, 30);
  const std::string text = fasta_text(proteins);
  const size_t middle = text.find(">p150 ");
  PrepareOptions two = options({});
  two.inputs = {write_fasta(root_ / "1.fa.zst", zstd_frame(text.substr(0, middle))),
                write_fasta(root_ / "2.fa.gz", gzipped(text.substr(middle), root_ / "scratch"))};
  prepare(two);
  EXPECT_EQ(content("out"), shuffled(proteins, 1));
}

// 24 KiB of records at a time spill a run every few hundred; 3 KiB make enough runs that they are merged in
// between.
TEST_F(Prepare, NeitherMemoryNorThreadsChangeAByte) {
  PrepareOptions given = options(random_proteins(6000, 120));
  given.rule.shard_residues = 200'000;
  given.deduplicate = true;
  given.holdout = 100;
  given.holdout_output = root_ / "holdout";
  prepare(given);
  const std::string expected = folder_bytes("out") + folder_bytes("holdout");
  given.force = true;
  bool spilled = false;
  for (const int threads : {1, 3})
    for (const int64_t memory :
         {int64_t{3} << 10, int64_t{24} << 10, int64_t{500} << 10, int64_t{64} << 20}) {
      given.threads = threads;
      given.working_memory = memory;
      spilled |= prepare(given).temporary_bytes > 0;
      EXPECT_EQ(folder_bytes("out") + folder_bytes("holdout") == expected, true)
          << threads << " threads, " << memory;
    }
  EXPECT_TRUE(spilled);
}

TEST_F(Prepare, CompressionOfTheInputDoesNotChangeTheSet) {
  const NamedProteins proteins = random_proteins(500, 60);
  PrepareOptions given = options(proteins);
  const std::string hash = prepare(given).train.hash;
  given.force = true;
  given.inputs = {write_fasta(root_ / "in.gz", gzipped(fasta_text(proteins), root_ / "scratch"))};
  EXPECT_EQ(prepare(given).train.hash, hash);
}

TEST_F(Prepare, LimitAndHoldoutAreEndsOfTheSameOrder) {
  const NamedProteins proteins = random_proteins(500, 20);
  const NamedProteins order = shuffled(proteins, 1);
  PrepareOptions given = options(proteins);
  given.holdout = 50;
  given.holdout_output = root_ / "holdout";
  given.limit = 120;
  const PrepareSummary summary = prepare(given);
  EXPECT_EQ(content("out"), NamedProteins(order.begin(), order.begin() + 120));
  EXPECT_EQ(content("holdout"), NamedProteins(order.end() - 50, order.end()));
  EXPECT_EQ(summary.holdout->split, "random split, homologues present");
  EXPECT_EQ(summary.train.split, "");
  EXPECT_EQ(summary.holdout->eval_length, 77);
}

// The order of what stays is that of the whole: keys count every record of the input.
TEST_F(Prepare, ExcludedAndShortSequencesLeaveTheOthersInPlace) {
  const NamedProteins proteins = random_proteins(400, 20);
  PrepareOptions given = options(proteins);
  given.exclude = write_fasta(root_ / "exclude", "p3\n>p7 with words\r\n\n  p11\np3\nnobody\n");
  given.min_length = 10;
  const PrepareSummary summary = prepare(given);
  NamedProteins expected = shuffled(proteins, 1);
  const int64_t excluded = std::erase_if(
      expected, [](const auto& p) { return p.first == "p3" || p.first == "p7" || p.first == "p11"; });
  const int64_t too_short = std::erase_if(expected, [](const auto& p) { return p.second.size() < 10; });
  EXPECT_EQ(content("out"), expected);
  EXPECT_EQ(to_json(summary.counts).at("excluded"), excluded);
  EXPECT_EQ(to_json(summary.counts).at("too_short"), too_short);
  EXPECT_THAT(summary.warnings, ElementsAre(HasSubstr("--exclude names 4 identifiers, and only 3")));
}

// A list of accessions where headers hold more would leak the test set into the training set.
TEST_F(Prepare, AListThatNamesNoRecordIsRefused) {
  PrepareOptions given = options({});
  given.inputs = {write_fasta(root_ / "in", ">tr|A1|x\nMKV\n>tr|A2|y\nMKL\n")};
  given.exclude = write_fasta(root_ / "exclude", "A1\nA2\n");
  EXPECT_THAT(error_of([&] { prepare(given); }),
              AllOf(HasSubstr("none among 2 ('A1'"), HasSubstr("'tr|A1|x'"), HasSubstr("--allow-missing")));
  EXPECT_FALSE(std::filesystem::exists(root_ / "out"));
  given.allow_missing = true;
  EXPECT_THAT(prepare(given).warnings, ElementsAre(HasSubstr("only 0 sequences")));
}

TEST_F(Prepare, EmptyRecordsAreApartFromShortOnes) {
  PrepareOptions given = options({});
  given.inputs = {write_fasta(root_ / "in", ">A_1 # 230 # ID=3;start_typeMKEEWTNPSL\n>B\n\n>S\nMK\n>C\nMKV")};
  given.min_length = 3;
  const PrepareSummary summary = prepare(given);
  EXPECT_EQ(to_json(summary.counts).at("empty"), 2);
  EXPECT_EQ(to_json(summary.counts).at("too_short"), 1);
  EXPECT_THAT(summary.warnings,
              ElementsAre(AllOf(HasSubstr("without residues"), HasSubstr("2, the first A_1 ("))));
}

// The composition is that of Foldseek's matrix of 3Di states, rounded to hundredths.
TEST_F(Prepare, StatesOf3DiAreNamed) {
  const std::string states = text(std::string(10, 'd'), std::string(8, 'p'), std::string(22, 'v'),
                                  "aaaaacccffffggggghhhiiikkkllllllmmnnqqqqqrrrsssssstttwwwyyyee");
  const auto warnings_of = [&](const std::string& fasta) {
    PrepareOptions given = options({});
    given.force = true;
    given.inputs = {write_fasta(root_ / "in", fasta)};
    return prepare(given).warnings;
  };
  std::string many;
  for (int i = 0; i < 10; ++i) many += states;
  EXPECT_THAT(warnings_of(">a\n" + many + "\n"), ElementsAre(HasSubstr("3Di states of Foldseek (39.6%")));
  EXPECT_THAT(warnings_of(">a\n" + states + "\n"), ElementsAre(HasSubstr("101 residues are in lower case")));
  EXPECT_THAT(warnings_of(">a\nMdEvVpQpLv\n"), ElementsAre(HasSubstr("5 residues are in lower case")));
  EXPECT_THAT(warnings_of(">a\nMKVLAAGIvglLLAQ\n"), ElementsAre());  // a masked region
}

TEST_F(Prepare, ATableGivesTheSameSetAsFasta) {
  PrepareOptions given = options({{"a", "MKV"}, {"b", "MKL"}});
  const std::string hash = prepare(given).train.hash;
  given.force = true;
  given.inputs = {write_fasta(root_ / "in", "seq\tid\nMKV\ta\nMKL\tb\n")};
  given.columns = {.sequence = "seq", .identifier = "id"};
  EXPECT_EQ(prepare(given).train.hash, hash);
}

TEST_F(Prepare, DuplicatesAreDroppedButForTheFirst) {
  NamedProteins proteins = random_proteins(3000, 2);  // of at most four letters: many are equal
  for (const int64_t memory : {int64_t{2} << 10, int64_t{0}}) {
    PrepareOptions given = options(proteins);
    given.deduplicate = true;
    given.force = true;
    given.working_memory = memory;
    const PrepareSummary summary = prepare(given);
    std::set<std::string> seen;
    std::set<std::string> first;
    for (const auto& [name, letters] : proteins)
      if (seen.insert(letters).second) first.insert(name);
    NamedProteins expected = shuffled(proteins, 1);
    std::erase_if(expected, [&](const auto& p) { return !first.contains(p.first); });
    EXPECT_EQ(content("out"), expected);
    EXPECT_EQ(to_json(summary.counts).at("duplicates_removed"), static_cast<int64_t>(3000 - first.size()));
  }
}

TEST_F(Prepare, RepeatedIdentifiersAreWarnedOf) {
  NamedProteins proteins = random_proteins(100, 30);
  proteins[70].first = proteins[30].first = proteins[60].first = "p20";
  const PrepareSummary summary = prepare(options(proteins));
  EXPECT_THAT(summary.warnings,
              ElementsAre(AllOf(HasSubstr("3 sequences have an identifier"), HasSubstr("'p20'"))));
  EXPECT_EQ(to_json(summary.counts).at("repeated_identifiers"), 3);
}

TEST_F(Prepare, DnaIsWarnedOf) {
  const NamedProteins dna = {
      {"chr", std::string(100, 'A') + std::string(100, 'C') + std::string(90, 'T') + "NNNGG"}};
  EXPECT_THAT(prepare(options(dna)).warnings, ElementsAre(HasSubstr("look like DNA")));
}

TEST_F(Prepare, AHoldoutThatRepeatsTrainingSequencesIsWarnedOf) {
  NamedProteins proteins(100, {"same", "MKVLAG"});
  for (size_t i = 0; i < proteins.size(); ++i) proteins[i].first = text("p", i);
  PrepareOptions given = options(proteins);
  given.holdout = 10;
  given.holdout_output = root_ / "holdout";
  EXPECT_THAT(prepare(given).warnings,
              ElementsAre(AllOf(HasSubstr("10 of the 10"), HasSubstr("--deduplicate"))));
}

TEST_F(Prepare, CountsOfEachCaseAreInTheManifest) {
  PrepareOptions given = options({});
  given.inputs = {write_fasta(root_ / "in", ">a\nmkJ*V--*\n>b\nMKV\n>\nBUZOX\n>empty\n")};
  prepare(given);
  const Json counts = Dataset(root_ / "out").document().at("provenance").at("counts");
  const std::map<std::string, int64_t> expected = {{"records", 4},
                                                   {"unnamed", 1},
                                                   {"lower_case", 2},
                                                   {"j_to_x", 1},
                                                   {"stops_dropped", 1},
                                                   {"stops_to_x", 1},
                                                   {"gaps_dropped", 2},
                                                   {"excluded", 0},
                                                   {"too_short", 0},
                                                   {"empty", 1},
                                                   {"latin1_names", 0},
                                                   {"duplicates_removed", 0},
                                                   {"repeated_identifiers", 0}};
  EXPECT_EQ((counts.get<std::map<std::string, int64_t>>()), expected);
}

TEST_F(Prepare, ThereAndBackLosesNothing) {
  const NamedProteins proteins = random_proteins(700, 150);
  prepare(options(proteins));
  const std::string written = root_ / "again.fasta.gz";
  const std::unique_ptr<FastaWriter> writer = open_fasta_writer(written);
  for (const auto& [name, letters] : content("out")) writer->add(name, codes_of(letters));
  writer->finish();
  PrepareOptions again = options({});
  again.inputs = {written};
  again.output = root_ / "again";
  prepare(again);
  NamedProteins found = content("again"), expected = proteins;
  std::sort(found.begin(), found.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(found, expected);
}

// Even among short sequences, whose identifiers and ordinals weigh most.
TEST_F(Prepare, TemporaryDiskIsAtMostSixFifthsOfTheOutput) {
  for (const uint32_t length : {10u, 300u}) {
    PrepareOptions given = options(random_proteins(3'000'000 / length, length));
    given.deduplicate = given.force = true;
    given.working_memory = 4 << 20;
    given.rule = {};
    const PrepareSummary summary = prepare(given);
    EXPECT_GT(summary.temporary_bytes, summary.train.bytes / 2) << "nothing was spilled";
    EXPECT_LE(summary.temporary_bytes, summary.train.bytes * 6 / 5) << length;
  }
}

TEST_F(Prepare, ReportsAreAttachedWithoutChangingTheIdentity) {
  const std::string hash = prepare(options(random_proteins(50, 30))).train.hash;
  attach_holdout_report(root_ / "out", {{"training_hash", "abc"},
                                        {"largest_identity", 0.43},
                                        {"above_limit", 2},
                                        {"identity_limit", 0.4},
                                        {"split", "checked at 0.5"}});
  const Dataset dataset(root_ / "out");
  EXPECT_EQ(dataset.manifest().hash, hash);
  EXPECT_EQ(dataset.manifest().split, "checked at 0.5");
  EXPECT_EQ(dataset.document().at("holdout_report").at("largest_identity"), 0.43);
  attach_holdout_report(root_ / "out", {{"training_hash", "abc"}, {"largest_identity", 0.4}});
  EXPECT_EQ(Dataset(root_ / "out").manifest().split, "checked at 0.5");
  for (const Json& report : {Json("checked"), Json{{"largest_identity", 0.4}}, Json{{"training_hash", "abc"}},
                             Json{{"training_hash", "abc"}, {"largest_identity", 40}},
                             Json{{"training_hash", "abc"}, {"largest_identity", 0.4}, {"above_limit", "2"}},
                             Json{{"training_hash", "abc"}, {"largest_identity", 0.4}, {"split", 5}}})
    EXPECT_THAT(error_of([&] { attach_holdout_report(root_ / "out", report); }),
                HasSubstr("largest_identity"));
  EXPECT_EQ(Dataset(root_ / "out").document().at("holdout_report").at("largest_identity"), 0.4);
}

TEST(FingerprintSorter, SortsWhatDoesNotFit) {
  TemporaryFolder folder;
  RandomStream stream(4, Purpose::test, 0);
  std::vector<Fingerprint> expected;
  FingerprintSorter sorter(folder / "run", 16 << 10);
  for (uint64_t i = 0; i < 20'000; ++i) {
    expected.push_back({stream.below(5000), i});
    sorter.add(expected.back());
  }
  std::sort(expected.begin(), expected.end());
  std::vector<Fingerprint> found;
  sorter.for_each([&](const Fingerprint& f) { found.push_back(f); });
  EXPECT_EQ(found == expected, true);
  EXPECT_GT(sorter.spilled_bytes(), 0u);
  EXPECT_LT(sorter.spilled_bytes(), 20'000u * 10) << "nine bytes a pair and the headers";
}

}  // namespace
}  // namespace esmscale::data
