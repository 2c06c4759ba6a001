#include "data/prepare/runs.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/compression.h"
#include "esmscale/core/text.h"

#include <array>
#include <cstring>
#include <queue>
#include <utility>

namespace esmscale::data {
namespace {

constexpr size_t kColumns = 5;

// A chunk on disk: this, then the compressed columns one after another.
struct ChunkHeader {
  std::array<uint32_t, kColumns> bytes{}, compressed_bytes{};
  uint64_t checksum =
      0;  // of the compressed columns: a fault of the temporary disk must not reach the data set
};

}  // namespace

void ChunkBuilder::add(const RecordView& record) {
  ordinals_.push_back(record.ordinal);
  identifier_bytes_.push_back(static_cast<uint32_t>(record.identifier.size()));
  residue_counts_.push_back(static_cast<uint32_t>(record.residues.size()));
  identifiers_.insert(identifiers_.end(), record.identifier.begin(), record.identifier.end());
  residues_.insert(residues_.end(), record.residues.begin(), record.residues.end());
}

std::vector<std::byte> ChunkBuilder::encode() const {
  const std::array<std::span<const std::byte>, kColumns> columns = {
      std::as_bytes(std::span(ordinals_)), std::as_bytes(std::span(identifier_bytes_)),
      std::as_bytes(std::span(residue_counts_)), std::as_bytes(std::span(identifiers_)),
      std::as_bytes(std::span(residues_))};
  ChunkHeader header;
  std::vector<std::byte> out(sizeof header);
  for (size_t i = 0; i < kColumns; ++i) {
    const std::vector<std::byte> packed = compress(columns[i]);
    header.bytes[i] = static_cast<uint32_t>(columns[i].size());
    header.compressed_bytes[i] = static_cast<uint32_t>(packed.size());
    out.insert(out.end(), packed.begin(), packed.end());
  }
  header.checksum = checksum64(std::span(out).subspan(sizeof header));
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

void ChunkBuilder::clear() {
  ordinals_.clear();
  identifier_bytes_.clear();
  residue_counts_.clear();
  identifiers_.clear();
  residues_.clear();
}

RunReader::RunReader(std::filesystem::path path, const KeyOf& key_of)
    : path_(std::move(path)), in_(path_, std::ios::binary), key_of_(key_of) {
  load();
}

void RunReader::load() {
  ChunkHeader header;
  ordinals_.clear();
  next_ = 0;
  in_.read(reinterpret_cast<char*>(&header), sizeof header);
  if (in_.gcount() == 0 && in_.eof()) return;
  size_t bytes = 0;
  for (const uint32_t part : header.compressed_bytes) bytes += part;
  std::vector<std::byte> packed(in_ ? bytes : 0);
  in_.read(reinterpret_cast<char*>(packed.data()), static_cast<std::streamsize>(packed.size()));
  if (!in_ || checksum64(packed) != header.checksum)
    throw Error({.where = path_.string(),
                 .expected = "the records that were written to it",
                 .found = "other bytes or none",
                 .advice = "look at the disk, or prepare on another one"});
  size_t at = 0, i = 0;
  const auto unpack = [&](auto& column) {
    column.resize(header.bytes[i] / sizeof column[0]);
    decompress(std::span(packed).subspan(at, header.compressed_bytes[i]),
               std::as_writable_bytes(std::span(column)));
    at += header.compressed_bytes[i++];
  };
  unpack(ordinals_);
  unpack(identifier_bytes_);
  unpack(residue_counts_);
  unpack(identifiers_);
  unpack(residues_);
  identifier_at_ = residues_at_ = 0;
  find_key();
}

void RunReader::find_key() {
  const RecordView record = head();
  key_ = key_of_(record.ordinal, record.identifier);
}

RecordView RunReader::head() const {
  return {ordinals_[next_],
          {identifiers_.data() + identifier_at_, identifier_bytes_[next_]},
          {residues_.data() + residues_at_, residue_counts_[next_]},
          key_};
}

void RunReader::advance() {
  identifier_at_ += identifier_bytes_[next_];
  residues_at_ += residue_counts_[next_];
  if (++next_ == ordinals_.size()) return load();
  find_key();
}

void merge_runs(const std::vector<std::filesystem::path>& runs, const KeyOf& key_of,
                const std::function<void(const RecordView&)>& visit) {
  std::vector<RunReader> readers;
  readers.reserve(runs.size());
  for (const auto& run : runs) readers.emplace_back(run, key_of);
  const auto later = [&](size_t a, size_t b) {
    const RecordView first = readers[b].head(), second = readers[a].head();
    return std::pair(first.key, first.ordinal) < std::pair(second.key, second.ordinal);
  };
  std::priority_queue<size_t, std::vector<size_t>, decltype(later)> heads(later);
  for (size_t i = 0; i < readers.size(); ++i)
    if (!readers[i].at_end()) heads.push(i);
  while (!heads.empty()) {
    const size_t number = heads.top();
    heads.pop();
    RunReader& first = readers[number];
    visit(first.head());
    first.advance();
    if (!first.at_end()) heads.push(number);
  }
}

}  // namespace esmscale::data
