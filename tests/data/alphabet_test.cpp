#include "esmscale/data/alphabet.h"

#include "esmscale/core/error.h"

#include <cctype>
#include <set>

#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

// Oracle: the 33 names of the official ESM-2 vocab.txt, written out by hand.
TEST(Alphabet, OfficialOrder) {
  const std::vector<std::string> official = {
      "<cls>", "<pad>", "<eos>", "<unk>", "L", "A", "G", "V", "S", "E",        "R",
      "T",     "I",     "D",     "P",     "K", "Q", "N", "F", "Y", "M",        "H",
      "W",     "C",     "X",     "B",     "U", "Z", "O", ".", "-", "<null_1>", "<mask>"};
  EXPECT_EQ(TokenList::of(33).names(), official);
}

// Oracle: the paper's count, 20 standard amino acids + B U Z O + X + PAD MASK START END, each once.
TEST(Alphabet, PaperTokensAreASubset) {
  const TokenList& paper = TokenList::of(29);
  EXPECT_EQ(paper.size(), 29);
  EXPECT_EQ(std::set<std::string>(paper.names().begin(), paper.names().end()).size(), 29u);
  for (const std::string& name : paper.names()) EXPECT_GE(TokenList::of(33).id(name), 0) << name;
}

TEST(Alphabet, LettersAndSpecialTokensAreWhereTheirNamesSay) {
  for (const int64_t size : {29, 33}) {
    const TokenList& list = TokenList::of(size);
    for (size_t code = 0; code < kLetters.size(); ++code)
      EXPECT_EQ(list.letter(static_cast<uint8_t>(code)), list.id(kLetters.substr(code, 1)));
    EXPECT_EQ(list.start(), list.id("<cls>"));
    EXPECT_EQ(list.end(), list.id("<eos>"));
    EXPECT_EQ(list.pad(), list.id("<pad>"));
    EXPECT_EQ(list.mask(), list.id("<mask>"));
    EXPECT_EQ(list.id("<nothing>"), -1);
  }
}

TEST(Alphabet, EveryByteHasACodeOrNone) {
  for (int c = 0; c < 256; ++c) {
    const uint8_t code = letter_code(static_cast<char>(c));
    if (c < 128 && std::isalpha(c)) {
      const size_t place = kLetters.find(static_cast<char>(std::toupper(c)));
      EXPECT_EQ(code, place == std::string_view::npos ? kUnknownLetter : place) << c;
    } else {
      EXPECT_EQ(code, 255) << c;
    }
  }
  EXPECT_EQ(letter_code('J'), kUnknownLetter);  // the one letter that no amino acid has
}

TEST(Alphabet, OtherSizesAreRefused) {
  try {
    TokenList::of(30);
    FAIL() << "30 tokens were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_EQ(error.report().found, "30");
  }
}

}  // namespace
}  // namespace esmscale::data
