#include "esmscale/core/files/file_kind.h"

#include <algorithm>
#include <array>

namespace esmscale {
namespace {

struct Magic {
  size_t offset;
  std::string_view bytes;
  const char* name;
  const char* advice;
};

using namespace std::string_view_literals;

constexpr const char* kDecompress = "decompress it, for instance to a pipe that - reads";
constexpr const char* kConvert = "convert it: docs/formats.md has the command for Parquet";

constexpr std::array kMagics{
    Magic{0, "version https://git-lfs"sv, "a Git LFS pointer in place of the file", "run git lfs pull"},
    Magic{257, "ustar"sv, "a tar archive", "unpack it: tar xf"},
    Magic{0, "PAR1"sv, "a Parquet file", kConvert},
    Magic{0, "ARROW1"sv, "an Arrow file", kConvert},
    Magic{0, "\x89HDF"sv, "an HDF5 file", "write its sequences as FASTA"},
    Magic{0, "SQLite format 3"sv, "an SQLite database", "write its rows as a table"},
    Magic{0, "BZh"sv, "a bzip2 file", kDecompress},
    Magic{0, "\xfd\x37zXZ\0"sv, "an xz file", kDecompress},
    Magic{0, "PK\x03\x04"sv, "a zip file", "unpack it: unzip"},
    Magic{0, "LOCUS  "sv, "a GenBank flat file", "download its proteins as FASTA"},
    Magic{0, "ID   "sv, "a flat file of UniProt or EMBL", "download the same entries as FASTA"},
    Magic{0, "# STOCKHOLM"sv, "a Stockholm alignment", "convert it: esl-reformat fasta"},
    Magic{0, "CLUSTAL"sv, "a Clustal alignment", "convert it to FASTA"},
};

bool is_web_page(std::string_view bytes) {
  std::string begin(bytes.substr(0, kBytesToRecognise));
  begin.erase(0, begin.find_first_not_of(" \t\r\n"));
  std::transform(begin.begin(), begin.end(), begin.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return begin.starts_with("<!doctype html") || begin.starts_with("<html") ||
         (begin.starts_with("<?xml") && begin.find("html") != begin.npos);
}

}  // namespace

std::optional<FileKind> recognise_file(std::string_view first_bytes) {
  for (const Magic& magic : kMagics)
    if (first_bytes.size() >= magic.offset && first_bytes.substr(magic.offset).starts_with(magic.bytes))
      return FileKind{magic.name, magic.advice};
  if (is_web_page(first_bytes))
    return FileKind{"a web page", "download the file itself: the address may have moved or need a login"};
  return std::nullopt;
}

}  // namespace esmscale
