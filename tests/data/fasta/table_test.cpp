// Tables of sequences, and names that must be unique. Oracles: what each text says, written out by hand.
#include "data/fasta/fasta_text.h"
#include "esmscale/data/fasta/unique_names.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class SequenceTable : public testing::Test {
 protected:
  NamedProteins rows(const std::string& content, const SequenceColumns& columns) {
    const auto reader = open_sequences(write_fasta(folder_ / "in.csv", content), counts_, columns);
    NamedProteins proteins;
    for (FastaRecord record; reader->next(record);)
      proteins.emplace_back(record.identifier, letters_of(record.residues));
    return proteins;
  }
  std::string refusal(const std::string& content, const SequenceColumns& columns) {
    return error_of([&] { rows(content, columns); });
  }

  TemporaryFolder folder_;
  FastaCounts counts_;
};

TEST_F(SequenceTable, RowsAreRecords) {
  EXPECT_EQ(rows("\xef\xbb\xbfid,note,seq\r\na first,\"x, y\",mkv*\r\n\r\nb,,MJL\n,z,\n",
                 {.sequence = "seq", .identifier = "id"}),
            (NamedProteins{{"a", "MKV"}, {"b", "MXL"}, {"unnamed_3", ""}}));
  EXPECT_EQ(rows("seq;id\nmkv;a\nMJL;b\n;\n", {.sequence = "seq", .identifier = "id"}),
            (NamedProteins{{"a", "MKV"}, {"b", "MXL"}, {"unnamed_6", ""}}));
  EXPECT_EQ(counts_.empty, 2);
  EXPECT_THAT(counts_.first_empty, HasSubstr("in.csv:5)"));
  counts_ = {};
  EXPECT_EQ(rows("seq\tid\nMKV\ta\nMKL\tb", {.sequence = "seq"}),
            (NamedProteins{{"row_1", "MKV"}, {"row_2", "MKL"}}));
}

TEST_F(SequenceTable, WrongTablesAreNamed) {
  EXPECT_THAT(refusal("id,sequence\na,MKV\n", {.sequence = "sequenc"}),
              AllOf(HasSubstr("in.csv:1"), HasSubstr("did you mean 'sequence'")));
  EXPECT_THAT(refusal("id,seq\na,MKV,x\n", {.sequence = "seq"}),
              AllOf(HasSubstr("in.csv:2"), HasSubstr("2 cells")));
  EXPECT_THAT(refusal("id,seq\na,MKV\nb,M1V\n", {.sequence = "seq"}),
              AllOf(HasSubstr("in.csv:3"), HasSubstr("'1'")));
  EXPECT_THAT(refusal(">a\nMKV\n", {.sequence = "seq"}), HasSubstr("found FASTA"));
  // As in FASTA: a data set of longer names could not be read again, and its names are lines of text.
  const SequenceColumns named{.sequence = "seq", .identifier = "id"};
  EXPECT_EQ(rows("id,seq\n" + std::string(4096, 'a') + ",MKV\n", named).size(), 1u);
  EXPECT_THAT(refusal("id,seq\n" + std::string(4097, 'a') + ",MKV\n", named),
              AllOf(HasSubstr("in.csv:2"), HasSubstr("at most 4096 letters")));
  EXPECT_THAT(refusal("id,seq\na\x1b[31m,MKV\n", named), AllOf(HasSubstr("in.csv:2"), HasSubstr("0x1b")));
}

TEST(UniqueNames, RefusesOrNumbers) {
  UniqueNames strict("x.fasta", false);
  strict.take("a");
  strict.take("b");
  EXPECT_THAT(error_of([&] { strict.take("a"); }),
              AllOf(HasSubstr("'a' in the records 1 and 3"), HasSubstr("--rename-repeats")));
  UniqueNames names("x.fasta", true);
  std::vector<std::string> taken;
  for (const char* name : {"a", "a", "a_2", "a", "a_2"}) taken.push_back(names.take(name));
  EXPECT_THAT(taken, testing::ElementsAre("a", "a_2", "a_2_1", "a_3", "a_2_2"));
  EXPECT_EQ(names.renamed(), 4);
}

}  // namespace
}  // namespace esmscale::data
