// Writes a data set's files in the order of its sequences.
#pragma once

#include "data/dataset/fingerprint_sorter.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json.h"
#include "esmscale/core/thread_pool.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::data {

// A file of the data set while it is written: the header is filled in when the payload is complete.
class PayloadFile {
 public:
  PayloadFile(const std::filesystem::path& folder, FileKind kind, int64_t shard = 0);
  void write(std::span<const std::byte> bytes);
  uint64_t position() const { return file_.size(); }  // in the file, header included
  FileRecord finish(uint64_t items);

 private:
  FileRecord record_;
  OutputFile file_;
  RunningChecksum checksum_;
};

struct WriterOptions {
  uint64_t seed = 0;
  int64_t eval_length = 1022;
  FrameRule rule{};
  uint64_t sort_memory = 64 << 20;  // bytes for sorting fingerprints
  size_t frames_under_way = 8;  // frames being compressed at most; each holds about three times its residues
};

// Frames are compressed by `workers` and written in order. The bytes of the files depend only on the
// sequences, the options and zstd's version.
class DatasetWriter {
 public:
  // `folder` exists and is empty; `temporary` takes what sorting does not hold in memory.
  DatasetWriter(std::filesystem::path folder, const std::filesystem::path& temporary, ThreadPool& workers,
                const WriterOptions& options);
  ~DatasetWriter();

  void add(std::string_view identifier, std::span<const uint8_t> residues);
  // The sequences that are added from here on belong to a cluster of their own, until the next call. A data
  // set has clusters throughout, or none.
  void begin_cluster();

  // Closes and syncs the files and writes manifest.json, last. Error when no sequence was added.
  DatasetManifest finish(const std::string& split, const Json& provenance);

 private:
  struct Frame;         // collected sequences
  struct EncodedFrame;  // the same, compressed and summed
  static EncodedFrame encode(const Frame& frame);
  void close_frame();
  void write(EncodedFrame&& frame);
  FileRecord write_fingerprints();

  std::filesystem::path folder_;
  ThreadPool& workers_;
  WriterOptions options_;
  DatasetManifest manifest_;
  std::unique_ptr<Frame> frame_;
  std::unique_ptr<PayloadFile> shard_, lengths_, index_, identifiers_, clusters_;
  uint64_t shard_frames_ = 0, shard_residues_ = 0, frames_ = 0;
  std::vector<FileRecord> files_;
  FingerprintSorter fingerprints_;
  OrderedResults<EncodedFrame> encoded_;
};

}  // namespace esmscale::data
