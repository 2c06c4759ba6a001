// Letters and tokens. A data set stores letter codes, which do not depend on tokens; a token list (29 or 33)
// turns them into token ids, so one data set serves both.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::data {

// Letter codes 0…24 in the official ESM-2 order: the 20 standard amino acids first, then X B U Z O.
inline constexpr std::string_view kLetters = "LAGVSERTIDPKQNFYMHWCXBUZO";
inline constexpr int kStandardLetters = 20;
inline constexpr uint8_t kUnknownLetter = 20;  // X

// Code of an upper- or lower-case letter; X for every other letter; 255 for what is not a letter.
uint8_t letter_code(char c);

// The order of a checkpoint's embedding rows.
class TokenList {
 public:
  static const TokenList& of(
      int64_t size);  // 29 (the paper's) or 33 (the official order); else a usage error

  int64_t size() const { return static_cast<int64_t>(names_.size()); }
  const std::vector<std::string>& names() const { return names_; }  // "<cls>", "<pad>", "<eos>", …, "<mask>"
  int32_t id(std::string_view name) const;                          // -1 when absent
  int32_t letter(uint8_t code) const { return first_letter_ + code; }
  int32_t start() const { return start_; }
  int32_t end() const { return end_; }
  int32_t pad() const { return pad_; }
  int32_t mask() const { return mask_; }

 private:
  explicit TokenList(std::vector<std::string> names);
  std::vector<std::string> names_;
  int32_t start_, end_, pad_, mask_, first_letter_;
};

}  // namespace esmscale::data
