// FASTA for tests: made, written in each compression, read back.
#pragma once

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/random.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/fasta/fasta.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zstd.h>

namespace esmscale::data {

using NamedProteins = std::vector<std::pair<std::string, std::string>>;  // identifier, letters

inline std::string letters_of(std::span<const uint8_t> codes) {
  std::string letters;
  for (const uint8_t code : codes) letters += kLetters[code];
  return letters;
}

inline std::vector<uint8_t> codes_of(const std::string& letters) {
  std::vector<uint8_t> codes;
  for (const char letter : letters) codes.push_back(letter_code(letter));
  return codes;
}

// Lengths 1 to 2·mean, all 25 letters, names "p0", "p1", ….
inline NamedProteins random_proteins(size_t count, uint32_t mean_length, uint64_t seed = 1) {
  RandomStream stream(seed, Purpose::test, 0);
  NamedProteins proteins;
  for (size_t i = 0; i < count; ++i) {
    std::string letters(1 + stream.below(2 * mean_length), ' ');
    for (char& letter : letters) letter = kLetters[stream.below(kLetters.size())];
    proteins.emplace_back(text("p", i), letters);
  }
  return proteins;
}

inline std::string fasta_text(const NamedProteins& proteins) {
  std::string fasta;
  for (const auto& [name, letters] : proteins) fasta += text(">", name, " some words\n", letters, "\n");
  return fasta;
}

// Not synced to disk, as files of the program are: tests write thousands.
inline std::string write_fasta(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::remove(path);  // ext4 writes a truncated file through to the disk
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

// By the gzip program: an implementation that is not ours.
inline std::string gzipped(const std::string& text, const std::filesystem::path& scratch) {
  write_fasta(scratch, text);
  const std::string packed = scratch.string() + ".gz";
  if (std::system(("gzip -nc " + scratch.string() + " > " + packed).c_str()) != 0) return "gzip failed";
  return read_file(packed);
}

inline std::string zstd_frame(const std::string& text, bool checksum = true) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
  out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return out;
}

inline NamedProteins read_all(const std::string& path, FastaCounts& counts) {
  FastaReader reader(path, counts);
  FastaRecord record;
  NamedProteins proteins;
  while (reader.next(record)) proteins.emplace_back(record.identifier, letters_of(record.residues));
  return proteins;
}

}  // namespace esmscale::data
