#include "data/dataset/writer.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/compression.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/manifest.h"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>

namespace esmscale::data {

PayloadFile::PayloadFile(const std::filesystem::path& folder, FileKind kind, int64_t shard)
    : record_{.kind = kind, .name = file_name(kind, shard)}, file_(folder / record_.name) {
  const FileHeader blank;
  file_.write(std::as_bytes(std::span(&blank, 1)));
}

void PayloadFile::write(std::span<const std::byte> bytes) {
  checksum_.add(bytes);
  file_.write(bytes);
}

FileRecord PayloadFile::finish(uint64_t items) {
  record_.bytes = file_.size();
  record_.items = items;
  record_.payload_checksum = checksum_.hex();
  FileHeader header;
  header.kind = record_.kind;
  header.payload_bytes = record_.bytes - sizeof header;
  header.items = items;
  std::memcpy(header.payload_checksum, record_.payload_checksum.data(), sizeof header.payload_checksum);
  header.header_checksum = checksum_of(header);
  file_.write_at(0, std::as_bytes(std::span(&header, 1)));
  file_.close();
  return record_;
}

struct DatasetWriter::Frame {
  uint64_t first_sequence = 0;
  std::vector<uint8_t> residues;
  std::vector<uint32_t> lengths;
  std::string identifiers;
};

struct DatasetWriter::EncodedFrame {
  FrameEntry entry{};  // except the places in the files
  std::vector<std::byte> residues, identifiers;
  std::vector<uint32_t> lengths;
  std::vector<uint64_t> hashes;
  std::array<int64_t, 25> counts{};
};

DatasetWriter::EncodedFrame DatasetWriter::encode(const Frame& frame) {
  EncodedFrame out;
  const auto codes = std::as_bytes(std::span(frame.residues));
  const auto names = bytes_of(frame.identifiers);
  out.residues = compress(codes);
  out.identifiers = compress(names);
  out.lengths = frame.lengths;
  out.entry.first_sequence = frame.first_sequence;
  out.entry.sequences = static_cast<uint32_t>(frame.lengths.size());
  out.entry.compressed_bytes = static_cast<uint32_t>(out.residues.size());
  out.entry.residues = static_cast<uint32_t>(codes.size());
  out.entry.residue_checksum = checksum64(codes);
  out.entry.length_checksum = checksum64(std::as_bytes(std::span(frame.lengths)));
  out.entry.identifier_compressed_bytes = static_cast<uint32_t>(out.identifiers.size());
  out.entry.identifier_bytes = static_cast<uint32_t>(names.size());
  out.entry.identifier_checksum = checksum64(names);
  size_t at = 0;
  for (const uint32_t length : frame.lengths) {
    out.hashes.push_back(checksum64(codes.subspan(at, length)));
    at += length;
  }
  // Four tables: one would wait for its own last increment wherever a letter repeats.
  std::array<std::array<uint32_t, 256>, 4> tables{};
  for (size_t i = 0; i < frame.residues.size(); ++i) ++tables[i % 4][frame.residues[i]];
  for (size_t code = 0; code < out.counts.size(); ++code)
    for (const auto& table : tables) out.counts[code] += table[code];
  return out;
}

DatasetWriter::DatasetWriter(std::filesystem::path folder, const std::filesystem::path& temporary,
                             ThreadPool& workers, const WriterOptions& options)
    : folder_(std::move(folder)),
      workers_(workers),
      options_(options),
      frame_(std::make_unique<Frame>()),
      lengths_(std::make_unique<PayloadFile>(folder_, FileKind::lengths)),
      index_(std::make_unique<PayloadFile>(folder_, FileKind::index)),
      identifiers_(std::make_unique<PayloadFile>(folder_, FileKind::identifiers)),
      fingerprints_(temporary / (folder_.filename().string() + "-fingerprints"), options.sort_memory),
      encoded_(options.frames_under_way, [this](EncodedFrame&& frame) { write(std::move(frame)); }) {
  manifest_.seed = options.seed;
  manifest_.eval_length = options.eval_length;
}

DatasetWriter::~DatasetWriter() = default;

void DatasetWriter::add(std::string_view identifier, std::span<const uint8_t> residues) {
  frame_->residues.insert(frame_->residues.end(), residues.begin(), residues.end());
  frame_->lengths.push_back(static_cast<uint32_t>(residues.size()));
  frame_->identifiers.append(identifier).push_back('\n');
  ++manifest_.sequences;
  manifest_.residues += static_cast<int64_t>(residues.size());
  manifest_.max_length = std::max(manifest_.max_length, static_cast<int64_t>(residues.size()));
  if (frame_->residues.size() >= options_.rule.frame_residues ||
      frame_->lengths.size() >= options_.rule.frame_sequences)
    close_frame();
}

void DatasetWriter::begin_cluster() {
  if (!clusters_) clusters_ = std::make_unique<PayloadFile>(folder_, FileKind::clusters);
  const auto first = static_cast<uint64_t>(manifest_.sequences);
  clusters_->write(std::as_bytes(std::span(&first, 1)));
  ++manifest_.clusters;
}

void DatasetWriter::close_frame() {
  const std::shared_ptr<Frame> frame = std::move(frame_);
  frame_ = std::make_unique<Frame>();
  frame_->first_sequence = static_cast<uint64_t>(manifest_.sequences);
  frame_->residues.reserve(frame->residues.size() + frame->residues.size() / 8);
  encoded_.push(workers_.run([frame] { return encode(*frame); }));
}

void DatasetWriter::write(EncodedFrame&& frame) {
  if (!shard_) shard_ = std::make_unique<PayloadFile>(folder_, FileKind::shard, manifest_.shards++);
  frame.entry.shard = static_cast<uint32_t>(manifest_.shards - 1);
  frame.entry.offset = shard_->position();
  frame.entry.identifier_offset = identifiers_->position();
  frame.entry.entry_checksum = checksum_of(frame.entry);
  shard_->write(frame.residues);
  identifiers_->write(frame.identifiers);
  lengths_->write(std::as_bytes(std::span(frame.lengths)));
  index_->write(std::as_bytes(std::span(&frame.entry, 1)));
  for (size_t i = 0; i < frame.hashes.size(); ++i)
    fingerprints_.add({frame.hashes[i], frame.entry.first_sequence + i});
  for (size_t code = 0; code < frame.counts.size(); ++code)
    manifest_.residue_counts[code] += frame.counts[code];
  ++frames_;
  ++shard_frames_;
  shard_residues_ += frame.entry.residues;
  if (shard_residues_ < options_.rule.shard_residues) return;
  files_.push_back(shard_->finish(shard_frames_));
  shard_.reset();
  shard_frames_ = shard_residues_ = 0;
}

FileRecord DatasetWriter::write_fingerprints() {
  PayloadFile file(folder_, FileKind::fingerprints);
  FingerprintBlock block{};
  const auto flush = [&] {
    if (block.used == 0) return;
    block.checksum = checksum_of(block);
    file.write(std::as_bytes(std::span(&block, 1)));
    block = {};
  };
  fingerprints_.for_each([&](const Fingerprint& fingerprint) {
    block.fingerprints[block.used++] = fingerprint;
    if (block.used == FingerprintBlock::kCapacity) flush();
  });
  flush();
  return file.finish(static_cast<uint64_t>(manifest_.sequences));
}

DatasetManifest DatasetWriter::finish(const std::string& split, const Json& provenance) {
  if (!frame_->lengths.empty()) close_frame();
  encoded_.finish();
  if (manifest_.sequences == 0)
    throw Error({.where = folder_.string(), .expected = "at least one sequence", .found = "none"});
  if (shard_) files_.push_back(shard_->finish(shard_frames_));
  const auto sequences = static_cast<uint64_t>(manifest_.sequences);
  files_.push_back(lengths_->finish(sequences));
  files_.push_back(index_->finish(frames_));
  files_.push_back(identifiers_->finish(sequences));
  files_.push_back(write_fingerprints());
  if (clusters_) files_.push_back(clusters_->finish(static_cast<uint64_t>(manifest_.clusters)));
  manifest_.tokens = manifest_.residues + 2 * manifest_.sequences;
  manifest_.split = split;
  const Json document = manifest_document(manifest_, files_, provenance);
  write_checked_json(folder_ / kManifestName, document);
  return manifest_of(document, folder_);
}

}  // namespace esmscale::data
