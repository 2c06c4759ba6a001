#include "esmscale/assays/assay.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "support/error_of.h"
#include "support/paths.h"
#include "support/temporary.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::assays {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<uint8_t> codes(std::string_view letters) {
  std::vector<uint8_t> result;
  for (const char c : letters) result.push_back(data::letter_code(c));
  return result;
}

Substitution substitution(int64_t position, char from, char to) {
  return {.position = position, .from = data::letter_code(from), .to = data::letter_code(to)};
}

class AssayFile : public ::testing::Test {
 protected:
  Assay read(std::string_view csv, std::string_view target = "MKTAYI", const AssayOptions& options = {}) {
    write_file(temporary_ / "scan.csv", csv);
    return read_assay(temporary_ / "scan.csv", codes(target), options);
  }
  std::string refusal(std::string_view csv, const AssayOptions& options = {}) {
    return error_of([&] { read(csv, "MKTAYI", options); });
  }
  TemporaryFolder temporary_;
};

TEST_F(AssayFile, SingleAndMultipleMutants) {
  const Assay assay = read("mutant,DMS_score,DMS_score_bin\nA4G,0.5,1\nI6V:K2R,-1e-3,0\n");
  EXPECT_EQ(assay.name, "scan");
  EXPECT_THAT(assay.variants[0].substitutions, ElementsAre(substitution(3, 'A', 'G')));
  EXPECT_THAT(assay.variants[1].substitutions,
              ElementsAre(substitution(1, 'K', 'R'), substitution(5, 'I', 'V')));
  EXPECT_THAT(assay.measured, ElementsAre(0.5, -1e-3));
  EXPECT_THAT(assay.is_fit, ElementsAre(1, 0));
}

TEST_F(AssayFile, WholeSequencesWithInsertionsAndDeletions) {
  const Assay assay = read("mutated_sequence\nMKTGYI\nMKTAYI\nMKTAAYI\nMKYI\n");
  EXPECT_THAT(assay.variants[0].substitutions, ElementsAre(substitution(3, 'A', 'G')));
  EXPECT_TRUE(assay.variants[1].substitutions.empty());
  EXPECT_FALSE(assay.variants[1].changes_length());
  EXPECT_EQ(assay.variants[2].residues, codes("MKTAAYI"));
  EXPECT_EQ(assay.variants[3].residues, codes("MKYI"));
  EXPECT_TRUE(assay.measured.empty());
}

TEST_F(AssayFile, ColumnsByNameAndAnOffset) {
  const AssayOptions options{.mutant_column = "variant", .measured_column = "fitness", .offset = 23};
  const Assay assay = read("variant,fitness\nM24L,1\nI29V,2\n", "MKTAYI", options);
  EXPECT_THAT(assay.variants[1].substitutions, ElementsAre(substitution(5, 'I', 'V')));
  EXPECT_THAT(assay.measured, ElementsAre(1, 2));
}

TEST_F(AssayFile, AWildTypeLetterThatIsNotThere) {
  EXPECT_THAT(refusal("mutant,DMS_score\nK2R,1\nA3G,2\n"),
              AllOf(HasSubstr("line 3, column mutant"), HasSubstr("position 3, T"), HasSubstr("A in A3G"),
                    HasSubstr("no --offset")));
  EXPECT_THAT(refusal("mutant,DMS_score\nK25R,1\nA27G,2\n"),
              AllOf(HasSubstr("position from 1 to 6"), HasSubstr("25"), HasSubstr("--offset 23")))
      << "an offset that would make all rows agree is named";
  EXPECT_THAT(refusal("mutant,DMS_score\nK25R,1\nA27G,2\nT27G,2\n"), HasSubstr("no --offset"))
      << "two letters at one number";
}

TEST_F(AssayFile, PositionsOutOfRange) {
  EXPECT_THAT(refusal("mutant\nA7G\n"), AllOf(HasSubstr("from 1 to 6"), HasSubstr("7 in A7G")));
  EXPECT_THAT(refusal("mutant\nM0G\n"), HasSubstr("from 1 to 6"));
  // Numbers of which no offset can be taken, and that no integer holds.
  for (const char* number : {"99999999999999999999", "9223372036854775807", "-9223372036854775808"})
    EXPECT_THAT(refusal(text("mutant\nA", number, "G\n")), HasSubstr("a mutant such as")) << number;
  write_file(temporary_ / "far.csv", "mutant,mutated_sequence\nA-9223372036854775808G,MKTGYI\n");
  EXPECT_THAT(error_of([&] { find_target(temporary_ / "far.csv"); }), HasSubstr("far.fasta"));
}

// 68,590 rows of which all but the last agree with the target at 981 offsets.
TEST_F(AssayFile, ManyRowsAreNotReadForEachOffset) {
  constexpr std::string_view kOthers = "CDEFGHIKLMNPQRSTVWY";
  std::string csv = "mutant\n";
  for (int first = 401; first <= 420; ++first)
    for (int second = first + 1; second <= 420; ++second)
      for (const char a : kOthers)
        for (const char b : kOthers) csv += text("A", first, a, ":A", second, b, "\n");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(error_of([&] { read(csv + "K400W\n", std::string(1000, 'A')); }), HasSubstr("no --offset"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8))
      << "11 s with rows parsed for each";
}

TEST_F(AssayFile, LettersThatAreNone) {
  EXPECT_THAT(refusal("mutant\nA4*\n"), AllOf(HasSubstr("line 2"), HasSubstr("'*'")));
  EXPECT_THAT(refusal("mutant\nA4J\n"), HasSubstr("'J'"));
  EXPECT_THAT(refusal("mutant\nA4X\n"), AllOf(HasSubstr("20 standard"), HasSubstr("X")));
  EXPECT_THAT(refusal("mutated_sequence\nMKTAY*\n"), HasSubstr("'*'"));
  EXPECT_THAT(refusal("mutated_sequence\nMKTAYX\n"), HasSubstr("20 standard"));
  EXPECT_THAT(refusal("mutated_sequence\nMKTAYXI\n"), HasSubstr("20 standard"));
  EXPECT_EQ(read("mutated_sequence\nMKXAYXI\n", "MKTAYX").variants.size(), 1u) << "the target has an X";
  for (const char* mutant : {"A4", "4G", "A4G:", ":A4G", "AG", "A 4G", "A4G;K2R"})
    EXPECT_THAT(refusal(std::string("mutant\n") + mutant + "\n"), HasSubstr("a mutant such as A24G"))
        << mutant;
}

TEST_F(AssayFile, TwiceTheSame) {
  EXPECT_THAT(refusal("mutant\nA4G\nK2R\nA4G\n"), AllOf(HasSubstr("line 4"), HasSubstr("line 2 again")));
  EXPECT_THAT(refusal("mutant\nA4G:K2R\nK2R:A4G\n"), HasSubstr("line 2 again"));
  EXPECT_THAT(refusal("mutated_sequence\nMKTA\nMKTA\n"), HasSubstr("line 2 again"));
  EXPECT_THAT(refusal("mutant\nA4G:A4V\n"), HasSubstr("position 4 twice"));
}

TEST_F(AssayFile, ColumnsThatAreMissing) {
  EXPECT_THAT(refusal("variant,DMS_score\nA4G,1\n"),
              AllOf(HasSubstr("'mutant'"), HasSubstr("'mutated_sequence'"), HasSubstr("variant, DMS_score"),
                    HasSubstr("--mutant-column")));
  EXPECT_THAT(refusal("mutant,fitnes\nA4G,1\n", {.measured_column = "fitness", .needs_measured = true}),
              AllOf(HasSubstr("'fitness'"), HasSubstr("'fitnes'")));
}

TEST_F(AssayFile, ScoresThatAreNone) {
  for (const char* cell : {"nan", "", "inf", "1,5x", "high"}) {
    const std::string quoted = std::string("\"") + cell + "\"";
    EXPECT_THAT(refusal("mutant,DMS_score\nK2R,1\nA4G," + quoted + "\n"),
                AllOf(HasSubstr("line 3, column DMS_score"), HasSubstr("a finite number"), HasSubstr(cell)))
        << cell;
  }
  EXPECT_THAT(refusal("mutant,DMS_score\nK2R,1\nA4G,1\n"), HasSubstr("1 in every row"));
  EXPECT_THAT(refusal("mutant,DMS_score_bin\nK2R,1\nA4G,2\n"), HasSubstr("0 or 1"));
}

TEST_F(AssayFile, NothingInIt) {
  EXPECT_THAT(refusal("mutant,DMS_score\n"), HasSubstr("no row"));
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
}

TEST_F(AssayFile, AMutantAndASequenceThatDisagree) {
  EXPECT_EQ(read("mutant,mutated_sequence\nA4G,MKTGYI\n").variants.size(), 1u);
  EXPECT_THAT(refusal("mutant,mutated_sequence\nA4G,MKTVYI\n"),
              AllOf(HasSubstr("column mutated_sequence"), HasSubstr("the sequence of A4G")));
}

TEST_F(AssayFile, TheTargetFromBesideItOrFromItsRows) {
  write_file(temporary_ / "scan.csv", "mutant,mutated_sequence\nA4G:K2R,MRTGYI\n");
  EXPECT_EQ(find_target(temporary_ / "scan.csv"), codes("MKTAYI"));
  write_file(temporary_ / "scan.fasta", ">x\nMKTAYIG\n");
  EXPECT_EQ(find_target(temporary_ / "scan.csv"), codes("MKTAYIG"));
  write_file(temporary_ / "other.csv", "mutant\nA4G\n");
  EXPECT_THAT(error_of([&] { find_target(temporary_ / "other.csv"); }), HasSubstr("other.fasta"));

  EXPECT_EQ(target_from("mkta"), codes("MKTA"));
  EXPECT_EQ(target_from(temporary_ / "scan.fasta"), codes("MKTAYIG"));
  EXPECT_THAT(error_of([] { target_from("no/such.fasta"); }), HasSubstr("neither"));
  write_file(temporary_ / "two.fasta", ">x\nMKTAYIG\n>y\nMM\n");
  EXPECT_THAT(error_of([&] { target_from(temporary_ / "two.fasta"); }), HasSubstr("x and y"));
}

TEST_F(AssayFile, AColumnIsAdded) {
  const Assay assay = read("mutant,note\nA4G,\"a, b\"\nK2R,c\n");
  const std::vector<std::string> columns{"score"};
  const std::vector<std::vector<double>> values{{0.1, -2}};
  EXPECT_EQ(with_columns(assay.table, columns, values),
            "mutant,note,score\nA4G,\"a, b\",0.10000000000000001\nK2R,c,-2\n");
  const std::vector<std::string> taken{"note"};
  EXPECT_THAT(error_of([&] { with_columns(assay.table, taken, values); }), HasSubstr("no column 'note' yet"));
}

// Oracle: figures of the scan that its README states.
TEST(RealAssay, BetaLactamase) {
  const std::string file = source_folder() / "tests/assays/data/BLAT_ECOLX_Ranganathan2015.csv";
  const Assay assay = read_assay(file, find_target(file), {});
  EXPECT_EQ(assay.target.size(), 263u);
  EXPECT_EQ(assay.variants.size(), 4996u);
  EXPECT_EQ(assay.measured.size(), 4996u);
  EXPECT_EQ(assay.measured[0], -0.418259925);
  EXPECT_THAT(assay.variants[0].substitutions, ElementsAre(substitution(0, 'H', 'C')));
}

}  // namespace
}  // namespace esmscale::assays
