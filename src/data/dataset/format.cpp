#include "esmscale/data/dataset/format.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <cstddef>
#include <cstdio>
#include <cstring>

namespace esmscale::data {
namespace {

template <class T>
uint64_t checksum_before(const T& value, size_t bytes) {
  return checksum64(std::as_bytes(std::span(&value, 1)).first(bytes));
}

// Bytes of the payload, where they follow from the number of items.
uint64_t payload_bytes(const FileRecord& record) {
  switch (record.kind) {
    case FileKind::lengths:
      return record.items * sizeof(uint32_t);
    case FileKind::index:
      return record.items * sizeof(FrameEntry);
    case FileKind::clusters:
      return record.items * sizeof(uint64_t);
    case FileKind::fingerprints:
      return (record.items + FingerprintBlock::kCapacity - 1) / FingerprintBlock::kCapacity *
             sizeof(FingerprintBlock);
    default:
      return record.bytes - sizeof(FileHeader);
  }
}

FileHeader header_of(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  FileHeader header;
  if (bytes.size() < sizeof header)
    throw Error({.where = path.string(),
                 .expected = text("a header of ", sizeof header, " bytes"),
                 .found = text("a file of ", bytes.size(), " bytes"),
                 .advice = "the file is cut short: copy the data set again"});
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

}  // namespace

std::string file_name(FileKind kind, int64_t shard) {
  switch (kind) {
    case FileKind::lengths:
      return "lengths.bin";
    case FileKind::index:
      return "index.bin";
    case FileKind::identifiers:
      return "identifiers.zst";
    case FileKind::fingerprints:
      return "fingerprints.bin";
    case FileKind::clusters:
      return "clusters.bin";
    case FileKind::shard:
      break;
  }
  char name[40];
  std::snprintf(name, sizeof name, "shard-%05lld.zst", static_cast<long long>(shard));
  return name;
}

uint64_t checksum_of(const FileHeader& header) {
  return checksum_before(header, offsetof(FileHeader, header_checksum));
}

uint64_t checksum_of(const FrameEntry& entry) {
  return checksum_before(entry, offsetof(FrameEntry, entry_checksum));
}

uint64_t checksum_of(const FingerprintBlock& block) {
  return checksum_before(block, offsetof(FingerprintBlock, checksum));
}

void check_header(const FileHeader& header, const FileRecord& record, const std::filesystem::path& folder) {
  const std::string where = (folder / record.name).string();
  const FileHeader model;
  if (std::memcmp(header.magic, model.magic, sizeof model.magic) != 0 ||
      header.skippable_magic != model.skippable_magic || header.skippable_bytes != model.skippable_bytes)
    throw Error({.where = where,
                 .expected = "a file of a data set, which begins with its magic number",
                 .found = "other bytes",
                 .advice = "the file is damaged or another program's: copy the data set again"});
  // The version comes before the checksum: a newer header may be summed otherwise.
  if (header.version > kDatasetVersion)
    throw Error({.where = where,
                 .expected = text("format version ", kDatasetVersion, " or older"),
                 .found = text("version ", header.version),
                 .advice = "use a newer esmscale"});
  if (header.header_checksum != checksum_of(header))
    throw Error({.where = where,
                 .expected = "a header that agrees with its checksum",
                 .found = "one that does not",
                 .advice = "the file is damaged: copy the data set again"});
  if (header.kind != record.kind || header.items != record.items ||
      header.payload_bytes + sizeof header != record.bytes ||
      std::string_view(header.payload_checksum, sizeof header.payload_checksum) != record.payload_checksum)
    throw Error(
        {.where = where,
         .expected = "the file that manifest.json names, checksum " + record.payload_checksum,
         .found = "one with checksum " + std::string(header.payload_checksum, sizeof header.payload_checksum),
         .advice = "it belongs to another data set: put the right file back"});
}

void check_size(uint64_t found, const FileRecord& record, const std::filesystem::path& folder) {
  if (found != record.bytes)
    throw Error({.where = (folder / record.name).string(),
                 .expected = text(record.bytes, " bytes"),
                 .found = text(found, " bytes"),
                 .advice = "the file is cut short or another set's: copy the data set again"});
  if (found != payload_bytes(record) + sizeof(FileHeader))
    throw Error({.where = (folder / record.name).string(),
                 .expected = text(payload_bytes(record), " bytes for ", record.items, " items"),
                 .found = text(found - sizeof(FileHeader)),
                 .advice = "prepare the data set again"});
}

void require_payload_checksum(const std::string& found, const FileRecord& record,
                              const std::filesystem::path& path) {
  if (found != record.payload_checksum)
    throw Error({.where = path.string(),
                 .expected = "checksum " + record.payload_checksum,
                 .found = found,
                 .advice = "the file is damaged: copy the data set again"});
}

MappedPayload::MappedPayload(const std::filesystem::path& folder, const FileRecord& record)
    : file_(folder / record.name) {
  check_header(header_of(file_.bytes(), file_.path()), record, folder);
  check_size(file_.bytes().size(), record, folder);
}

void MappedPayload::check_payload(const FileRecord& record) const {
  RunningChecksum checksum;
  checksum.add(items<std::byte>());
  require_payload_checksum(checksum.hex(), record, file_.path());
}

}  // namespace esmscale::data
