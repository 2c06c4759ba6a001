#include "data/dataset/reader.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset/manifest.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

namespace esmscale::data {
namespace {

constexpr int kReadAttempts = 4;
// A zstd block of 4 bytes decodes to at most 128 KiB.
constexpr uint64_t kLargestExpansion = 32 << 10;
// prepare's frames of residues or identifiers stay far below it (FrameRule, kLongestSequence).
constexpr uint64_t kLargestFrame = 64 << 20;

}  // namespace

FrameFile::FrameFile(const std::filesystem::path& path, uint64_t bytes, const ReadBytes& read)
    : path_(path), read_(read), bytes_(bytes), descriptor_(open_regular(path)) {}

FrameFile::FrameFile(const std::filesystem::path& folder, const FileRecord& record, const ReadBytes& read)
    : FrameFile(folder / record.name, record.bytes, read) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw io_error(path_, "look at it", errno);
  FileHeader header;
  if (static_cast<size_t>(status.st_size) < sizeof header)
    check_size(static_cast<uint64_t>(status.st_size), record, folder);
  read_at(0, std::as_writable_bytes(std::span(&header, 1)));
  check_header(header, record, folder);
  check_size(static_cast<uint64_t>(status.st_size), record, folder);
}

FrameFile::~FrameFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FrameFile::read_at(uint64_t offset, std::span<std::byte> into) const {
  int failures = 0;
  while (!into.empty()) {
    const int64_t got = read_(descriptor_, into, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0)
      throw Error({.where = path_.string(),
                   .expected = text(into.size(), " bytes more at ", offset),
                   .found = "the end of the file",
                   .advice = "the file was cut short while it was in use: copy the data set again"});
    if (got > 0) {
      into = into.subspan(static_cast<size_t>(got));
      offset += static_cast<uint64_t>(got);
      failures = 0;
      continue;
    }
    const int problem = errno;
    if (++failures == kReadAttempts)
      throw io_error(path_, text("read at byte ", offset, " (", failures, " attempts)"), problem,
                     "check the storage; the run can be resumed");
    log_warning(path_.string(), ": reading at ", offset, " failed (", std::strerror(problem), "), attempt ",
                failures, " of ", kReadAttempts);
    std::this_thread::sleep_for(std::chrono::milliseconds(5 << (2 * failures)));
  }
}

struct FrameDecoder::Context {
  ZSTD_DCtx* zstd = ZSTD_createDCtx();
  ~Context() { ZSTD_freeDCtx(zstd); }
};

// A compressed part of a frame: where it lies and what it decodes to.
struct FrameDecoder::Blob {
  const FrameFile& file;
  std::string_view what;
  int64_t frame;
  uint64_t offset;
  uint32_t compressed_bytes;
  uint32_t bytes;
  uint64_t checksum;
};

FrameDecoder::FrameDecoder(const Dataset::Impl& dataset)
    : dataset_(dataset), context_(std::make_unique<Context>()) {}

FrameDecoder::~FrameDecoder() = default;

template <class Bytes>
void FrameDecoder::decode(const Blob& blob, Bytes& into) {
  const auto fail = [&](const std::string& found) {
    throw Error({.where = text(blob.file.path().string(), ", frame ", blob.frame),
                 .expected = text(blob.bytes, " bytes of ", blob.what, " that agree with their checksum"),
                 .found = found,
                 .advice = "the file is damaged: copy the data set again"});
  };
  const uint64_t file_bytes = blob.file.bytes();
  if (blob.offset < sizeof(FileHeader) || blob.offset > file_bytes ||
      blob.compressed_bytes > file_bytes - blob.offset)
    fail("an index entry that points outside the file");
  if (blob.bytes > blob.compressed_bytes * kLargestExpansion)
    fail(text("an index entry of ", blob.compressed_bytes, " bytes, which cannot hold them"));
  if (blob.bytes > kLargestFrame)
    fail(text("an index entry of ", blob.bytes, " bytes, more than a frame has"));
  compressed_.resize(blob.compressed_bytes);
  blob.file.read_at(blob.offset, compressed_);
  into.resize(blob.bytes);
  const size_t size =
      ZSTD_decompressDCtx(context_->zstd, into.data(), into.size(), compressed_.data(), compressed_.size());
  if (ZSTD_isError(size)) fail(ZSTD_getErrorName(size));
  if (size != into.size()) fail(text(size, " bytes"));
  if (checksum64(std::as_bytes(std::span(into))) != blob.checksum) fail("others");
}

void FrameDecoder::residues(int64_t frame, std::vector<uint8_t>& codes, std::vector<uint32_t>& starts) {
  const FrameEntry& entry = dataset_.frames()[static_cast<size_t>(frame)];
  const auto lengths = dataset_.lengths.items<uint32_t>().subspan(entry.first_sequence, entry.sequences);
  const uint64_t residues = std::accumulate(lengths.begin(), lengths.end(), uint64_t{0});
  if (checksum64(std::as_bytes(lengths)) != entry.length_checksum || residues != entry.residues)
    throw Error({.where = dataset_.lengths.path().string(),
                 .expected = text("the lengths of sequences ", entry.first_sequence, " to ",
                                  entry.first_sequence + entry.sequences, " that the index was made with"),
                 .found = "others",
                 .advice = "the file is damaged: copy the data set again"});
  starts.assign(1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), std::back_inserter(starts));
  decode({*dataset_.shards[entry.shard], "residues", frame, entry.offset, entry.compressed_bytes,
          entry.residues, entry.residue_checksum},
         codes);
  if (std::any_of(codes.begin(), codes.end(), [](uint8_t code) { return code >= kLetters.size(); }))
    throw Error({.where = text(dataset_.shards[entry.shard]->path().string(), ", frame ", frame),
                 .expected = text("letter codes below ", kLetters.size()),
                 .found = "others",
                 .advice = "prepare the data set again"});
}

void FrameDecoder::identifiers(int64_t frame, std::vector<std::string>& names) {
  const FrameEntry& entry = dataset_.frames()[static_cast<size_t>(frame)];
  std::string lines;
  decode({*dataset_.identifiers, "identifiers", frame, entry.identifier_offset,
          entry.identifier_compressed_bytes, entry.identifier_bytes, entry.identifier_checksum},
         lines);
  names.clear();
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    names.push_back(lines.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace esmscale::data
