// Reading FASTA. Oracles: what each text says, written out by hand, and the gzip program and libzstd for
// compression.
#include "esmscale/data/fasta/fasta.h"

#include "data/fasta/fasta_text.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace esmscale::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Fasta : public testing::Test {
 protected:
  NamedProteins read(const std::string& content) {
    return read_all(write_fasta(folder_ / "in.fasta", content), counts_);
  }
  std::string error_in(const std::string& content) {
    return error_of([&] { read(content); });
  }

  TemporaryFolder folder_;
  FastaCounts counts_;
};

TEST_F(Fasta, HeadersAndLines) {
  EXPECT_EQ(read(">a first words\nMKV\nLAG\n>b\tmore\nW\n\n\n>  c  d\nY"),
            (NamedProteins{{"a", "MKVLAG"}, {"b", "W"}, {"c", "Y"}}));
  EXPECT_EQ(counts_.records, 3);
}

TEST_F(Fasta, CarriageReturnsBlankLinesSpacesAndByteOrderMark) {
  EXPECT_EQ(read("\xef\xbb\xbf\r\n \n>a x\r\nMK V\r\n\r\nL\tA\r\n>b\r\nW\r\n"),
            (NamedProteins{{"a", "MKVLA"}, {"b", "W"}}));
  EXPECT_EQ(counts_.lower_case + counts_.gaps_dropped + counts_.stops_to_x, 0);
}

// Read as lines they would lose proteins, and give the next one's residues to the wrong name.
TEST_F(Fasta, CarriageReturnsAloneAreNoLineEnds) {
  for (const char* content : {">a x\rMKV\r>b\rMLK\r>c\nW\n", ">a\nMKV\rLA\n", ">a\rMKV\n", ">a\nM\r>b\rK\r"})
    EXPECT_THAT(error_in(content), AllOf(HasSubstr("in.fasta:"), HasSubstr("carriage returns alone")));
  EXPECT_EQ(read(">a\r\r\nMK\r\r\n>b\nV\r"), (NamedProteins{{"a", "MK"}, {"b", "V"}}));
}

TEST_F(Fasta, LettersKeepTheirRule) {
  EXPECT_EQ(read(">a\nBUZOX\n>b\nmkv\n>c\nMJjK\n"),
            (NamedProteins{{"a", "BUZOX"}, {"b", "MKV"}, {"c", "MXXK"}}));
  EXPECT_EQ(counts_.lower_case, 4);  // m k v j
  EXPECT_EQ(counts_.j_to_x, 2);
}

TEST_F(Fasta, StopsAreDroppedAtTheEndAndXInside) {
  EXPECT_EQ(read(">a\nMK*\n>b\nMK*V**\n>c\nM*\nK\n>d\nM*\n\n*\n>e\n*M\n>f\n**\n"),
            (NamedProteins{{"a", "MK"}, {"b", "MKXV"}, {"c", "MXK"}, {"d", "M"}, {"e", "XM"}, {"f", ""}}));
  EXPECT_EQ(counts_.stops_dropped, 1 + 2 + 2 + 2);
  EXPECT_EQ(counts_.stops_to_x, 3);
}

TEST_F(Fasta, GapsAreDropped) {
  EXPECT_EQ(read(">a\n--MK-V..\n-A\n"), (NamedProteins{{"a", "MKVA"}}));
  EXPECT_EQ(counts_.gaps_dropped, 6);
}

TEST_F(Fasta, HeadersWithoutAWordAreNumbered) {
  EXPECT_EQ(read(">\nM\n>x\nK\n>  \nV\n"),
            (NamedProteins{{"unnamed_1", "M"}, {"x", "K"}, {"unnamed_3", "V"}}));
  EXPECT_EQ(counts_.unnamed, 2);
}

TEST_F(Fasta, RecordsWithoutResiduesAreGivenBackEmpty) {
  EXPECT_EQ(read(">a\n>b\n\n>c\nM\n>d"), (NamedProteins{{"a", ""}, {"b", ""}, {"c", "M"}, {"d", ""}}));
}

// Blocks of 256 KiB: a header, a carriage return, a stop and a line end each cross their border once.
TEST_F(Fasta, RecordsWithoutResiduesAreCountedAndTheFirstIsNamed) {
  read(">a\nM\n>b\n\n>c\n--\n>d");
  EXPECT_EQ(counts_.empty, 3);
  EXPECT_THAT(counts_.first_empty, AllOf(HasSubstr("b ("), HasSubstr("in.fasta:3)")));
}

TEST_F(Fasta, GapsCanBeRefused) {
  for (const char* content : {">a\nMK-V\n", ">a\nMKV\nMK.V\n"}) {
    const std::string path = write_fasta(folder_ / "in.fasta", content);
    EXPECT_THAT(error_of([&] {
                  FastaReader reader(path, counts_, /*has_masks=*/true, Gaps::refuse);
                  for (FastaRecord record; reader.next(record);) continue;
                }),
                AllOf(HasSubstr("in.fasta:"), HasSubstr("gap"), HasSubstr("--drop-gaps")));
  }
}

// NCBI's nr joins the headers of identical proteins with ^A.
TEST_F(Fasta, AControlAEndsTheIdentifier) {
  EXPECT_EQ(read(">WP_1.1\x01XP_2.1 x\nMKV\n>WP_3.1 a [E. c]\x01XP_4.1 b\nMKL\n"),
            (NamedProteins{{"WP_1.1", "MKV"}, {"WP_3.1", "MKL"}}));
}

TEST_F(Fasta, NamesThatAreNotUtf8AreLatin1) {
  EXPECT_EQ(read(">N\xd7s|X\nMKL\n>\xC3\x97\nMKV\n"),
            (NamedProteins{{"N\xC3\x97s|X", "MKL"}, {"\xC3\x97", "MKV"}}));
  EXPECT_EQ(counts_.latin1_names, 1);
}

// MMseqs2 writes the representative's header alone before each cluster.
TEST_F(Fasta, AllSeqsOfMMseqs2IsRefused) {
  EXPECT_THAT(error_in(">r1\n>r1 rep\nMKVLA\n>m2\nMKVLS\n>r3\n>r3 rep\nMDEAA\n"),
              AllOf(HasSubstr("in.fasta:2"), HasSubstr("'r1' twice"), HasSubstr("*_rep_seq.fasta")));
  read(">r1\n>r2\nMKV\n>r1\nMKV\n>\n>\nM\n");  // an empty record is none
}

TEST_F(Fasta, PirIsRefused) {
  EXPECT_THAT(error_in(">P1;CRAB\nalpha crystallin\nMDITIHNPLI*\n"),
              AllOf(HasSubstr("in.fasta:1"), HasSubstr("PIR"), HasSubstr("awk")));
  EXPECT_EQ(read(">P1|CRAB;x\nMDI\n").size(), 1u);
}

// Blocks of ten or single letters are how flat files print residues; words of other lengths are text.
TEST_F(Fasta, WrappedHeadersAreRefused) {
  EXPECT_THAT(error_in(">a long\ndescription of a hypothetical protein\nMKV\n"),
              AllOf(HasSubstr("in.fasta:2"), HasSubstr("5 words"), HasSubstr("wrapped")));
  EXPECT_THAT(error_in(">a\nMKV\nhypothetical protein"), HasSubstr("in.fasta:3"));
  EXPECT_EQ(read(">a\nmkvlaagivg llaqmkvlaa gi\n>b\nm k v\n>c\nMK VLA\n>d\nmkv \n"),
            (NamedProteins{{"a", "MKVLAAGIVGLLAQMKVLAAGI"}, {"b", "MKV"}, {"c", "MKVLA"}, {"d", "MKV"}}));
}

TEST_F(Fasta, TheMaskIsNamedWhereItIsRead) {
  const std::string path = write_fasta(folder_ / "in.fasta", ">a\nMK<mask>V\n");
  EXPECT_THAT(error_of([&] {
                FastaReader reader(path, counts_, /*has_masks=*/true);
                for (FastaRecord record; reader.next(record);) continue;
              }),
              AllOf(HasSubstr("'<'"), HasSubstr("letter _")));
}

TEST_F(Fasta, OtherFormatsAreNamed) {
  EXPECT_THAT(error_in("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("git lfs pull"));
  std::string tar(1024, '\0');
  tar.replace(0, 9, "odd.fasta").replace(257, 5, "ustar");
  EXPECT_THAT(error_in(tar), HasSubstr("tar archive"));
  EXPECT_THAT(error_in(gzipped(tar, folder_ / "u.tar")), HasSubstr("tar archive"));
  EXPECT_THAT(error_in("PAR1....PAR1"), HasSubstr("Parquet"));
  EXPECT_THAT(error_in("<!DOCTYPE html><html>"), HasSubstr("web page"));
  EXPECT_THAT(error_in("id,sequence\na,MKV\n"),
              AllOf(HasSubstr("a table with the columns id, sequence"), HasSubstr("--sequence-column")));
}

TEST_F(Fasta, NothingDependsOnWhereABlockEnds) {
  constexpr size_t kBlock = 256 << 10;
  const std::string tail = "MK\r\n>second name\r\nV*\r\n*A*\r\n>third\r\nW\r\n";
  for (size_t shift = 0; shift <= tail.size(); ++shift) {
    const std::string first(kBlock - 3 - shift, 'L');  // ">a\n" and this fill the block up to `shift` bytes
    counts_ = {};
    EXPECT_EQ(read(text(">a\n", first, tail)),
              (NamedProteins{{"a", first + "MK"}, {"second", "VXXA"}, {"third", "W"}}))
        << shift;
    EXPECT_EQ(counts_.stops_dropped, 1);
    EXPECT_EQ(counts_.stops_to_x, 2);
  }
}

TEST_F(Fasta, WhatIsNotFastaIsNamed) {
  EXPECT_THAT(error_in(""), HasSubstr("an empty file"));
  EXPECT_THAT(error_in(" \n\n"), HasSubstr("no record"));
  EXPECT_THAT(error_in("MKV\n"),
              AllOf(HasSubstr("in.fasta:1"), HasSubstr("begin with '>'"), HasSubstr("'M'")));
  EXPECT_THAT(error_in("\n\n@read\nACGT\n"), AllOf(HasSubstr("in.fasta:3"), HasSubstr("FASTQ")));
  EXPECT_THAT(error_in(std::string("\0\1\2\3\4\5\6", 7)), HasSubstr("binary"));
  EXPECT_THAT(error_in(">a\nMK\nM1V\n"), AllOf(HasSubstr("in.fasta:3"), HasSubstr("'1'")));
  EXPECT_THAT(error_in(">a\nMK>b\n"), HasSubstr("a line of its own"));
  EXPECT_THAT(error_in(std::string(">a\nM\0K\n", 7)), HasSubstr("0x00"));
  EXPECT_THAT(error_in(std::string(">a\0b\nMK\n", 8)), HasSubstr("a header of text"));
  EXPECT_THAT(error_in(text(">", std::string(5000, 'n'), "\nMK\n")), HasSubstr("identifier"));
  EXPECT_THAT(error_in(text(">chr1\n", std::string(kLongestSequence + 1, 'A'))),
              AllOf(HasSubstr("chr1"), HasSubstr("genomes")));
  EXPECT_THAT(error_in("BZh91AY&SY"), HasSubstr("bzip2"));
  EXPECT_THAT(error_in(std::string("\xfd"
                                   "7zXZ\0\0",
                                   7)),
              HasSubstr("xz"));
}

TEST_F(Fasta, MissingFilesAndFoldersAreNamed) {
  EXPECT_THAT(error_of([&] { read_all(folder_ / "absent.fasta", counts_); }), HasSubstr("nothing there"));
  EXPECT_THAT(error_of([&] { read_all(folder_.path(), counts_); }), HasSubstr("a folder"));
}

TEST_F(Fasta, StandardInput) {
  const std::string path = write_fasta(folder_ / "in.fasta", ">a\nMKV\n");
  const int saved = ::dup(STDIN_FILENO);
  ASSERT_TRUE(std::freopen(path.c_str(), "r", stdin));
  const NamedProteins found = read_all("-", counts_);
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  EXPECT_EQ(found, (NamedProteins{{"a", "MKV"}}));
}

class Compressed : public Fasta {
 protected:
  // Some blocks long, so that every part of it is met in the middle of a stream too.
  const NamedProteins proteins_ = random_proteins(2000, 200);
  const std::string text_ = fasta_text(proteins_);
  std::string half(int i) const { return i == 0 ? text_.substr(0, 250'001) : text_.substr(250'001); }
  std::string gzip(const std::string& text) { return gzipped(text, folder_ / "scratch"); }
};

TEST_F(Compressed, EveryFormReadsTheSame) {
  EXPECT_EQ(read(text_), proteins_);
  EXPECT_EQ(read(gzip(text_)), proteins_);
  EXPECT_EQ(read(gzip(half(0)) + gzip("") + gzip(half(1))), proteins_) << "members";
  EXPECT_EQ(read(gzip(text_) + std::string(512, '\0')), proteins_) << "padded with zeros";
  EXPECT_EQ(read(zstd_frame(text_)), proteins_);
  EXPECT_EQ(read(zstd_frame(half(0)) + zstd_frame("") + zstd_frame(half(1), false)), proteins_) << "frames";
}

TEST_F(Compressed, MembersEndAnywhereInABuffer) {
  const std::string small = fasta_text({{"a", "MKVLAG"}});
  const std::string member = gzip(small);
  std::string members;
  for (int i = 0; i < 10000; ++i) members += member;
  EXPECT_GT(members.size(), 3u * (128 << 10));  // several reads of the raw file
  EXPECT_EQ(read(members), NamedProteins(10000, {"a", "MKVLAG"}));
}

// A cut anywhere loses the end, or at least the checksum.
TEST_F(Compressed, EveryCutIsAnError) {
  const std::string small = fasta_text(random_proteins(20, 50));
  for (const std::string& whole : {gzip(small), zstd_frame(small)})
    for (size_t size = 1; size < whole.size(); ++size)
      EXPECT_THAT(error_in(whole.substr(0, size)), AllOf(HasSubstr("in.fasta"), HasSubstr("expected")))
          << size;
  EXPECT_THAT(error_in(gzip(text_).substr(0, 100'000)), HasSubstr("cut short"));
  EXPECT_THAT(error_in(zstd_frame(text_).substr(0, 100'000)), HasSubstr("cut short"));
}

// A flipped bit is an Error, or one of the few that mean nothing (padding, times): never other sequences.
TEST_F(Compressed, NoFlippedBitGivesOtherSequences) {
  const NamedProteins expected = random_proteins(8, 30);
  for (std::string bytes : {gzip(fasta_text(expected)), zstd_frame(fasta_text(expected))}) {
    int harmless = 0, bits = 0;
    for (char& byte : bytes)
      for (int bit = 0; bit < 8; ++bit, ++bits) {
        byte = static_cast<char>(byte ^ (1 << bit));
        NamedProteins found = expected;
        harmless += error_of([&] { found = read(bytes); }) == "no error";
        EXPECT_EQ(found, expected) << "bit " << bits;
        byte = static_cast<char>(byte ^ (1 << bit));
      }
    EXPECT_LT(harmless, bits / 10);
  }
}

TEST_F(Compressed, OtherDataBehindAMemberAreAnError) {
  EXPECT_THAT(error_in(gzip(text_) + "more"), HasSubstr("after the gzip data"));
  EXPECT_NE(error_in(zstd_frame(text_) + "more"), "no error");
}

TEST_F(Compressed, WritersGiveBackWhatWasWritten) {
  for (const std::string name : {"out.fasta", "out.fasta.gz", "out.fasta.zst"}) {
    const std::string path = folder_ / name;
    const std::unique_ptr<FastaWriter> writer = open_fasta_writer(path);
    for (const auto& [identifier, letters] : proteins_) writer->add(identifier, codes_of(letters));
    EXPECT_FALSE(std::filesystem::exists(path)) << "published before it was whole";
    writer->finish();
    EXPECT_EQ(read_all(path, counts_), proteins_) << name;
  }
  const std::string packed = folder_ / "out.fasta.gz", plain = folder_ / "out.fasta";
  EXPECT_EQ(std::system(("gzip -dc " + packed + " | cmp - " + plain).c_str()), 0);
  EXPECT_LT(std::filesystem::file_size(packed), std::filesystem::file_size(plain) * 7 / 10);
}

TEST_F(Fasta, AnUnfinishedWriterLeavesNothing) {
  { open_fasta_writer(folder_ / "out.fasta")->add("a", codes_of("MKV")); }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(Fasta, WrittenLinesHaveSixtyLetters) {
  const std::unique_ptr<FastaWriter> writer = open_fasta_writer(folder_ / "out.fasta");
  writer->add("a", codes_of(std::string(61, 'M')));
  writer->add("b", codes_of(std::string(60, 'K')));
  writer->finish();
  EXPECT_EQ(read_file(folder_ / "out.fasta"),
            text(">a\n", std::string(60, 'M'), "\nM\n>b\n", std::string(60, 'K'), "\n"));
}

}  // namespace
}  // namespace esmscale::data
