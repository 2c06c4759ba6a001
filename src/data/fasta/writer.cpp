#include "esmscale/core/error.h"
#include "esmscale/core/files/compression.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/fasta/fasta.h"

#include <algorithm>
#include <filesystem>
#include <ostream>

#include <isa-l.h>

namespace esmscale::data {
namespace {

constexpr size_t kLineLetters = 60;
constexpr size_t kFlushed = 1 << 20;
constexpr uint32_t kGzipLevel = 1;

class StreamWriter : public FastaWriter {
 public:
  explicit StreamWriter(std::ostream& out) : out_(out) {}

 protected:
  void write(std::string_view text) override {
    out_.write(text.data(), static_cast<std::streamsize>(text.size()));
    require_written(out_);
  }
  void close() override { require_written(out_); }

 private:
  std::ostream& out_;
};

// Written under another name and renamed when whole. Compressed output is a row of independent members (gzip)
// or frames (zstd), which every reader joins.
class FileWriter : public FastaWriter {
 public:
  explicit FileWriter(std::filesystem::path path)
      : path_(std::move(path)), output_(path_), file_(output_.path()) {}

 protected:
  void write(std::string_view text) override {
    if (path_.extension() == ".gz")
      file_.write(gzip(text));
    else if (path_.extension() == ".zst")
      file_.write(compress(std::as_bytes(std::span(text))));
    else
      file_.write(text);
  }

  void close() override {
    file_.close();
    output_.publish();
  }

 private:
  std::span<const std::byte> gzip(std::string_view text) {
    level_room_.resize(ISAL_DEF_LVL1_DEFAULT);
    member_.resize(text.size() + text.size() / 8 +
                   1024);  // deflate grows by five bytes in 64 KiB at the worst
    isal_zstream stream;
    isal_deflate_init(&stream);
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.level = kGzipLevel;
    stream.level_buf = level_room_.data();
    stream.level_buf_size = static_cast<uint32_t>(level_room_.size());
    stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uint32_t>(text.size());
    stream.next_out = reinterpret_cast<uint8_t*>(member_.data());
    stream.avail_out = static_cast<uint32_t>(member_.size());
    if (isal_deflate(&stream) != COMP_OK || stream.avail_in != 0 || stream.internal_state.state != ZSTATE_END)
      throw Error(
          {.where = path_.string(), .expected = "to compress with gzip", .found = "a failure of ISA-L"});
    return std::span(member_).first(stream.total_out);
  }

  std::filesystem::path path_;
  AtomicOutput output_;
  OutputFile file_;
  std::vector<uint8_t> level_room_;
  std::vector<std::byte> member_;
};

}  // namespace

void FastaWriter::add(std::string_view identifier, std::span<const uint8_t> residues) {
  text_.append(">").append(identifier).append("\n");
  for (size_t at = 0; at < residues.size(); at += kLineLetters) {
    const size_t end = std::min(residues.size(), at + kLineLetters);
    for (size_t i = at; i < end; ++i) text_ += kLetters[residues[i]];
    text_ += '\n';
  }
  if (text_.size() < kFlushed) return;
  write(text_);
  text_.clear();
}

void FastaWriter::finish() {
  if (!text_.empty()) write(text_);
  text_.clear();
  close();
}

std::unique_ptr<FastaWriter> open_fasta_writer(const std::string& path) {
  return std::make_unique<FileWriter>(path);
}

std::unique_ptr<FastaWriter> fasta_writer_to(std::ostream& out) {
  return std::make_unique<StreamWriter>(out);
}

}  // namespace esmscale::data
