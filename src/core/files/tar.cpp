#include "esmscale/core/files/tar.h"

#include "esmscale/core/error.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <string>

namespace esmscale {
namespace {

constexpr size_t kBlock = 512, kLongestName = 100, kLongestPrefix = 155;

// Fields of the header by their offset; numbers are octal digits that end in a zero byte.
class Header {
 public:
  void put(size_t offset, std::string_view value) {
    std::memcpy(&block_[offset], value.data(), value.size());
  }
  void put_number(size_t offset, int digits, uint64_t value) {
    char octal[24];
    std::snprintf(octal, sizeof octal, "%0*llo", digits, static_cast<unsigned long long>(value));
    put(offset, octal);
  }
  // The sum of all bytes, its own field as spaces.
  void put_checksum() {
    put(148, "        ");
    unsigned sum = 0;
    for (const char byte : block_) sum += static_cast<unsigned char>(byte);
    put_number(148, 6, sum);
    block_[154] = '\0';
  }
  std::string_view bytes() const { return {block_.data(), block_.size()}; }

 private:
  std::array<char, kBlock> block_{};
};

// Where the name is cut into prefix and name; npos: nowhere that both fit.
size_t cut_of(std::string_view name) {
  for (size_t cut = name.find('/'); cut != std::string_view::npos; cut = name.find('/', cut + 1))
    if (cut <= kLongestPrefix && name.size() - cut - 1 <= kLongestName) return cut;
  return std::string_view::npos;
}

}  // namespace

void TarArchive::add(std::string_view name, std::string_view content) {
  constexpr uint64_t kLargest = uint64_t{8} << 30;
  const size_t cut = name.size() > kLongestName ? cut_of(name) : std::string_view::npos;
  if (name.empty() || content.size() >= kLargest ||
      (name.size() > kLongestName && cut == std::string_view::npos))
    throw Error({.where = std::string(name),
                 .expected = "a name of at most 100 bytes after its folders (155 bytes), and less than 8 GiB",
                 .found = std::to_string(name.size()) + " bytes of name, " + std::to_string(content.size()) +
                          " of content",
                 .advice = "give it a shorter name"});
  Header header;
  header.put(0, cut == std::string_view::npos ? name : name.substr(cut + 1));
  if (cut != std::string_view::npos) header.put(345, name.substr(0, cut));
  header.put_number(100, 7, 0644);
  header.put_number(108, 7, 0);
  header.put_number(116, 7, 0);
  header.put_number(124, 11, content.size());
  header.put_number(136, 11, 0);
  header.put(156, "0");
  header.put(257, std::string_view("ustar\00000", 8));
  header.put_checksum();
  bytes_.append(header.bytes());
  bytes_.append(content);
  bytes_.append((kBlock - content.size() % kBlock) % kBlock, '\0');
}

std::string TarArchive::finish() {
  bytes_.append(2 * kBlock, '\0');
  return std::move(bytes_);
}

}  // namespace esmscale
