// The parts of an open data set, and the decoding of one frame. For Dataset and SequenceReader only.
#pragma once

#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::data {

// A file that is read in pieces, from any thread. A read that the system fails is tried four times, with a
// named warning and a growing pause (network storage does fail now and then); a file that ends too early is
// an Error.
class FrameFile {
 public:
  FrameFile(const std::filesystem::path& folder, const FileRecord& record, const ReadBytes& read);
  ~FrameFile();
  FrameFile(const FrameFile&) = delete;
  FrameFile& operator=(const FrameFile&) = delete;

  void read_at(uint64_t offset, std::span<std::byte> into) const;
  const std::filesystem::path& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

 private:
  // Opens it. The public constructor checks what is open: where a check throws, the file is closed.
  FrameFile(const std::filesystem::path& path, uint64_t bytes, const ReadBytes& read);

  std::filesystem::path path_;
  const ReadBytes& read_;
  uint64_t bytes_ = 0;
  int descriptor_ = -1;
};

struct Dataset::Impl {
  Impl(const std::filesystem::path& folder, ReadBytes read);

  std::filesystem::path folder;
  ReadBytes read;
  Json document;
  DatasetManifest manifest;
  std::vector<FileRecord> files;
  MappedPayload lengths, index, clusters;
  std::vector<std::unique_ptr<FrameFile>> shards;
  std::unique_ptr<FrameFile> identifiers, fingerprints;

  std::span<const FrameEntry> frames() const { return index.items<FrameEntry>(); }

  // The frame that holds `sequence`, its index entry checked.
  int64_t frame_of(int64_t sequence) const;

 private:
  void open(const FileRecord& record);
  void check_whole() const;
};

// Decodes frames; keeps its zstd state and a buffer between calls. Every checksum of the frame is checked.
class FrameDecoder {
 public:
  explicit FrameDecoder(const Dataset::Impl& dataset);
  ~FrameDecoder();

  // Letter codes of the whole frame, and where each sequence starts: [sequences + 1], after the checked
  // lengths.
  void residues(int64_t frame, std::vector<uint8_t>& codes, std::vector<uint32_t>& starts);
  void identifiers(int64_t frame, std::vector<std::string>& names);

 private:
  struct Blob;
  template <class Bytes>
  void decode(const Blob& blob, Bytes& into);  // no memory is taken for sizes that the file cannot hold
  struct Context;
  const Dataset::Impl& dataset_;
  std::unique_ptr<Context> context_;
  std::vector<std::byte> compressed_;
};

}  // namespace esmscale::data
