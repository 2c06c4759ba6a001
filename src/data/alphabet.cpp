#include "esmscale/data/alphabet.h"

#include "esmscale/core/error.h"

#include <algorithm>

namespace esmscale::data {
namespace {

constexpr uint8_t kNoLetter = 255;

constexpr std::array<uint8_t, 256> make_letter_codes() {
  std::array<uint8_t, 256> codes{};
  codes.fill(kNoLetter);
  for (int i = 0; i < 26; ++i) codes['A' + i] = codes['a' + i] = kUnknownLetter;
  for (size_t code = 0; code < kLetters.size(); ++code) {
    const auto upper = static_cast<unsigned char>(kLetters[code]);
    codes[upper] = codes[upper - 'A' + 'a'] = static_cast<uint8_t>(code);
  }
  return codes;
}

constexpr std::array<uint8_t, 256> kCodes = make_letter_codes();

std::vector<std::string> names_around_letters(std::vector<std::string> before,
                                              const std::vector<std::string>& after) {
  for (const char letter : kLetters) before.emplace_back(1, letter);
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

}  // namespace

uint8_t letter_code(char c) {
  return kCodes[static_cast<unsigned char>(c)];
}

TokenList::TokenList(std::vector<std::string> names) : names_(std::move(names)) {
  start_ = id("<cls>");
  end_ = id("<eos>");
  pad_ = id("<pad>");
  mask_ = id("<mask>");
  first_letter_ = id("L");
}

const TokenList& TokenList::of(int64_t size) {
  static const TokenList paper(names_around_letters({"<cls>", "<pad>", "<eos>"}, {"<mask>"}));
  static const TokenList official(
      names_around_letters({"<cls>", "<pad>", "<eos>", "<unk>"}, {".", "-", "<null_1>", "<mask>"}));
  for (const TokenList* list : {&paper, &official})
    if (list->size() == size) return *list;
  throw usage_error({.where = "token list",
                     .expected = "29 tokens (the paper's) or 33 (the official ESM-2 order)",
                     .found = std::to_string(size),
                     .advice = "choose 29 or 33"});
}

int32_t TokenList::id(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  return found == names_.end() ? -1 : static_cast<int32_t>(found - names_.begin());
}

}  // namespace esmscale::data
