// The files of a data set, byte for byte (docs/formats.md). Every file starts with the same header, which is
// a zstd skippable frame: `zstd -dc` reads the shards and the identifiers as they are. Integers are
// little-endian.
#pragma once

#include "esmscale/core/files/files.h"

#include <bit>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace esmscale::data {

static_assert(std::endian::native == std::endian::little, "the files are mapped as they are");

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::string_view kDatasetFormat = "esmscale data set";
inline constexpr int kDatasetVersion = 1;

enum class FileKind : uint32_t {
  shard = 1,
  lengths = 2,
  index = 3,
  identifiers = 4,
  fingerprints = 5,
  clusters = 6,
};

// "shard-00012.zst" for a shard, else the one file of its kind.
std::string file_name(FileKind kind, int64_t shard = 0);

struct FileHeader {
  uint32_t skippable_magic = 0x184D2A50;
  uint32_t skippable_bytes = 88;
  char magic[8] = {'E', 'S', 'M', 'S', 'C', 'A', 'L', 'E'};
  FileKind kind = FileKind::shard;
  uint32_t version = kDatasetVersion;
  uint64_t payload_bytes = 0;  // from the end of the header to the end of the file
  // shard, index: frames; lengths, identifiers, fingerprints: sequences; clusters: clusters
  uint64_t items = 0;
  char payload_checksum[32] = {};  // XXH3-128 of the payload, as hexadecimal digits
  uint64_t reserved[2] = {};
  uint64_t header_checksum = 0;  // XXH3-64 of the bytes before it
};
static_assert(sizeof(FileHeader) == 96);

// A frame is what a reader decodes at once: whole sequences, next to each other in the data set's order.
struct FrameEntry {
  uint64_t first_sequence;
  uint32_t sequences;
  uint32_t shard;
  uint64_t offset;  // in the shard file
  uint32_t compressed_bytes;
  uint32_t residues;           // letter codes, one byte each
  uint64_t residue_checksum;   // XXH3-64 of the letter codes
  uint64_t length_checksum;    // of this frame's slice of the length file
  uint64_t identifier_offset;  // in the identifier file
  uint32_t identifier_compressed_bytes;
  uint32_t identifier_bytes;  // identifiers, each ended by a line feed
  uint64_t identifier_checksum;
  uint64_t entry_checksum;  // of the bytes before it
};
static_assert(sizeof(FrameEntry) == 80);

// A sequence by its residues: the hash is XXH3-64 of its letter codes.
struct Fingerprint {
  uint64_t hash;
  uint64_t sequence;

  auto operator<=>(const Fingerprint&) const = default;
};
static_assert(sizeof(Fingerprint) == 16);

// The fingerprint file is a row of these, its fingerprints ascending; what the last block does not use is
// zero.
struct FingerprintBlock {
  static constexpr size_t kCapacity = 1023;
  Fingerprint fingerprints[kCapacity];
  uint64_t used;
  uint64_t checksum;  // XXH3-64 of the bytes before it
};
static_assert(sizeof(FingerprintBlock) == 16384);

// When a frame and a shard close: a rule on content alone, so that nothing of the machine shows in the files.
// Only tests choose other numbers.
struct FrameRule {
  uint64_t frame_residues = 256 << 10;  // a frame closes at this many residues or more …
  uint32_t frame_sequences = 4096;      // … or at this many sequences
  uint64_t shard_residues = 256 << 20;  // a shard closes at this many residues or more
};

uint64_t checksum_of(const FileHeader& header);
uint64_t checksum_of(const FrameEntry& entry);
uint64_t checksum_of(const FingerprintBlock& block);

// A file's entry in the manifest.
struct FileRecord {
  FileKind kind = FileKind::shard;
  std::string name{};
  uint64_t bytes = 0;  // header included
  uint64_t items = 0;
  std::string payload_checksum{};
};

// Error unless `header`, read from the file of `record` in `folder`, is whole and the one that the manifest
// means.
void check_header(const FileHeader& header, const FileRecord& record, const std::filesystem::path& folder);
// Error unless the file of `record` has the size that the manifest says, and that size fits its items.
void check_size(uint64_t found, const FileRecord& record, const std::filesystem::path& folder);
// Error unless the checksum of the payload is the one that the manifest says.
void require_payload_checksum(const std::string& found, const FileRecord& record,
                              const std::filesystem::path& path);

// A mapped file of the data set, its size and header checked; the payload is not read.
class MappedPayload {
 public:
  MappedPayload() = default;
  MappedPayload(const std::filesystem::path& folder, const FileRecord& record);

  template <class T>
  std::span<const T> items() const {
    const std::span<const std::byte> payload = file_.bytes().subspan(sizeof(FileHeader));
    return {reinterpret_cast<const T*>(payload.data()), payload.size() / sizeof(T)};
  }
  const std::filesystem::path& path() const { return file_.path(); }
  // Reads the whole payload. Error unless it has the checksum of the record.
  void check_payload(const FileRecord& record) const;

 private:
  MappedFile file_;
};

}  // namespace esmscale::data
