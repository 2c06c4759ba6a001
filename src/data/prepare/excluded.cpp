#include "data/prepare/excluded.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/core/utf8.h"

#include <algorithm>
#include <functional>

namespace esmscale::data {
namespace {

// The first word of each line of a text that comes in pieces.
class FirstWords {
 public:
  FirstWords(const std::filesystem::path& file, std::function<void(std::string_view)> take)
      : file_(file), take_(std::move(take)) {}

  void add(std::string_view piece) {
    for (const char c : piece) {
      const bool is_blank = c == ' ' || c == '\t' || c == '\r';
      if (c == '\n')
        finish();
      else if (is_done_ || (word_.empty() && (is_blank || c == '>')))
        continue;
      else if (is_blank)
        is_done_ = true;
      else
        append(c);
    }
  }

  void finish() {
    if (!word_.empty()) take_(word_);
    word_.clear();
    is_done_ = false;
  }

 private:
  static constexpr size_t kLongestWord = 1 << 20;

  void append(char c) {
    word_ += c;
    if (word_.size() > kLongestWord)
      throw Error({.where = file_.string(),
                   .expected = "a list of identifiers, one a line",
                   .found = text("an identifier longer than ", kLongestWord, " bytes")});
  }

  const std::filesystem::path& file_;
  std::function<void(std::string_view)> take_;
  std::string word_;
  bool is_done_ = false;
};

}  // namespace

ExcludedIdentifiers::ExcludedIdentifiers(const std::filesystem::path& file, int64_t memory) {
  if (file.empty()) return;
  FirstWords words(file, [&](std::string_view given) {
    const std::string word = is_utf8(given) ? std::string(given) : utf8_from_latin1(given);
    if (sorted_.empty()) first_ = word;
    sorted_.push_back(checksum128(bytes_of(std::string_view(word))));
    if (static_cast<int64_t>(sorted_.size() * sizeof sorted_[0]) > memory)
      throw Error({.where = file.string(),
                   .expected = text("identifiers that take at most ", human_bytes(double(memory)),
                                    ", half of --memory"),
                   .found = text("more than ", sorted_.size() - 1),
                   .advice = "raise --memory"});
  });
  read_pieces(file, [&](std::string_view piece) { words.add(piece); });
  words.finish();
  std::sort(sorted_.begin(), sorted_.end());
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
}

bool ExcludedIdentifiers::contains(std::string_view identifier) const {
  return std::binary_search(sorted_.begin(), sorted_.end(), checksum128(bytes_of(identifier)));
}

}  // namespace esmscale::data
