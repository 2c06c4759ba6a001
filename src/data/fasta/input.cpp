#include "esmscale/data/fasta/input.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/file_kind.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string_view>
#include <utility>

#include <isa-l.h>
#include <unistd.h>
#include <zstd.h>

namespace esmscale::data {
namespace {

constexpr size_t kBlock = 256 << 10;
constexpr size_t kBlocksAhead = 4;
constexpr size_t kRawBuffer = 128 << 10;

// The file's own bytes, through a buffer that can be looked into before they are taken.
class RawBytes {
 public:
  RawBytes(std::string name, const OpenedInput& input, std::atomic<uint64_t>& count)
      : name_(std::move(name)), descriptor_(input.descriptor), count_(count), buffer_(kRawBuffer) {
    for (const char byte : input.begun) buffer_[end_++] = static_cast<std::byte>(byte);
    count_ += end_;
  }

  const std::string& name() const { return name_; }
  // The bytes that are buffered; reads more when there are none. Empty at the end of the file.
  std::span<std::byte> peek() {
    if (begin_ == end_) fill(0);
    return std::span(buffer_).subspan(begin_, end_ - begin_);
  }
  // At least `bytes` of look-ahead, unless the file ends before.
  std::span<std::byte> peek_at_least(size_t bytes) {
    while (end_ - begin_ < bytes && fill(end_ - begin_)) continue;
    return std::span(buffer_).subspan(begin_, end_ - begin_);
  }
  void take(size_t bytes) { begin_ += bytes; }

 private:
  bool fill(size_t keep) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, keep);
    begin_ = 0;
    end_ = keep;
    ssize_t got;
    do got = ::read(descriptor_, buffer_.data() + end_, buffer_.size() - end_);
    while (got < 0 && errno == EINTR);
    if (got < 0) throw io_error(name_, "read", errno);
    end_ += static_cast<size_t>(got);
    count_ += static_cast<uint64_t>(got);
    return got > 0;
  }

  std::string name_;
  int descriptor_;
  std::atomic<uint64_t>& count_;
  std::vector<std::byte> buffer_;
  size_t begin_ = 0, end_ = 0;
};

[[noreturn]] void fail_cut_short(const std::string& name, const char* kind) {
  throw Error({.where = name,
               .expected = text("a whole ", kind, " file"),
               .found = "its end in the middle of the data",
               .advice = "the file is cut short: copy or download it again"});
}

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(RawBytes& raw) : raw_(raw) {}
  size_t read(std::span<std::byte> into) override {
    const std::span<std::byte> bytes = raw_.peek();
    const size_t size = std::min(into.size(), bytes.size());
    std::copy_n(bytes.begin(), size, into.begin());
    raw_.take(size);
    return size;
  }

 private:
  RawBytes& raw_;
};

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(RawBytes& raw) : raw_(raw), state_(std::make_unique<inflate_state>()) {
    begin_member();
  }

  size_t read(std::span<std::byte> into) override {
    size_t size = 0;
    while (size == 0 && !at_end_) size = inflate_some(into);
    return size;
  }

 private:
  void begin_member() {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
  }

  size_t inflate_some(std::span<std::byte> into) {
    const std::span<std::byte> bytes = raw_.peek();
    state_->next_in = reinterpret_cast<uint8_t*>(bytes.data());
    state_->avail_in = static_cast<uint32_t>(bytes.size());
    state_->next_out = reinterpret_cast<uint8_t*>(into.data());
    state_->avail_out = static_cast<uint32_t>(into.size());
    const int status = isal_inflate(state_.get());
    if (status < 0)
      throw Error({.where = raw_.name(),
                   .expected = "gzip data",
                   .found = status == ISAL_INCORRECT_CHECKSUM
                                ? "data that do not agree with their checksum"
                                : text("damaged data (ISA-L status ", status, ")"),
                   .advice = "the file is damaged: copy or download it again"});
    raw_.take(bytes.size() - state_->avail_in);
    const size_t size = into.size() - state_->avail_out;
    if (state_->block_state == ISAL_BLOCK_FINISH)
      next_member();
    else if (bytes.empty() && size == 0)
      fail_cut_short(raw_.name(), "gzip");
    return size;
  }

  void next_member() {
    // gzip pads with zeros on tape drives' blocks; anything else except another member is an error.
    std::span<std::byte> rest = raw_.peek();
    while (!rest.empty() && rest.front() == std::byte{0}) {
      raw_.take(1);
      rest = raw_.peek();
    }
    if (rest.empty()) {
      at_end_ = true;
      return;
    }
    if (rest.front() != std::byte{0x1f})
      throw Error({.where = raw_.name(),
                   .expected = "another gzip member or the end of the file",
                   .found = "other data after the gzip data",
                   .advice = "the file is damaged: copy or download it again"});
    begin_member();
  }

  RawBytes& raw_;
  std::unique_ptr<inflate_state> state_;
  bool at_end_ = false;
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(RawBytes& raw) : raw_(raw) {}
  ~ZstdSource() override { ZSTD_freeDStream(stream_); }

  size_t read(std::span<std::byte> into) override {
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    while (out.pos == 0) {
      const std::span<std::byte> bytes = raw_.peek();
      if (bytes.empty() && !in_frame_) return 0;
      ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
      const size_t status = ZSTD_decompressStream(stream_, &out, &in);
      if (ZSTD_isError(status))
        throw Error({.where = raw_.name(),
                     .expected = "zstd data",
                     .found = ZSTD_getErrorName(status),
                     .advice = "the file is damaged: copy or download it again"});
      raw_.take(in.pos);
      in_frame_ = status != 0;
      if (bytes.empty() && in_frame_ && out.pos == 0) fail_cut_short(raw_.name(), "zstd");
    }
    return out.pos;
  }

 private:
  RawBytes& raw_;
  ZSTD_DStream* stream_ = ZSTD_createDStream();
  bool in_frame_ = false;
};

bool begins_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

std::unique_ptr<ByteSource> source_of(RawBytes& raw) {
  using namespace std::string_view_literals;
  const std::span<const std::byte> first = raw.peek_at_least(6);
  if (first.empty())
    throw Error({.where = raw.name(),
                 .expected = "FASTA",
                 .found = "an empty file",
                 .advice = "look at where it came from"});
  if (begins_with(first, "\x1f\x8b"sv)) return std::make_unique<GzipSource>(raw);
  // A zstd file may begin with a skippable frame too.
  if (begins_with(first, "\x28\xb5\x2f\xfd"sv) ||
      begins_with(first.subspan(std::min<size_t>(1, first.size())), "\x2a\x4d\x18"sv))
    return std::make_unique<ZstdSource>(raw);
  const std::span<const std::byte> begin = raw.peek_at_least(kBytesToRecognise);
  const std::string_view text(reinterpret_cast<const char*>(begin.data()), begin.size());
  if (const auto kind = recognise_file(text))
    throw Error({.where = raw.name(),
                 .expected = "FASTA or a table, plain, gzip or zstd",
                 .found = kind->name,
                 .advice = kind->advice});
  return std::make_unique<PlainSource>(raw);
}

OpenedInput open_fasta(const std::string& path) {
  if (path == "-") return {.descriptor = ::dup(STDIN_FILENO)};
  input_bytes(path);  // for its errors
  return open_input(path);
}

}  // namespace

uint64_t input_bytes(const std::string& path) {
  namespace fs = std::filesystem;
  if (path == "-") return 0;
  const auto fail = [&](const std::string& found, const std::string& advice) {
    throw Error({.where = path, .expected = "a FASTA file", .found = found, .advice = advice});
  };
  std::error_code reason;
  const fs::file_status status = fs::status(path, reason);
  if (!fs::exists(status)) fail("nothing there", "look at the path");
  if (fs::is_directory(status)) fail("a folder", "name the files in it");
  if (::access(path.c_str(), R_OK) != 0) throw io_error(path, "read", errno);
  return fs::is_regular_file(status) ? fs::file_size(path, reason) : 0;
}

InputFile::InputFile(const std::string& path)
    : name_(path == "-" ? "standard input" : path),
      input_(open_fasta(path)),
      ready_(kBlocksAhead),
      used_(kBlocksAhead + 2) {
  if (input_.descriptor < 0) throw io_error(name_, "open", errno);
  for (size_t i = 0; i < kBlocksAhead + 1; ++i) used_.push({.room = std::vector<std::byte>(kBlock)});
  thread_ = std::thread([this] { run(); });
}

InputFile::~InputFile() {
  ready_.close();
  used_.close();
  thread_.join();
  ::close(input_.descriptor);
}

void InputFile::run() {
  try {
    RawBytes raw(name_, input_, raw_bytes_);
    const std::unique_ptr<ByteSource> source = source_of(raw);
    while (auto block = used_.pop()) {
      block->size = 0;
      for (size_t got = 1; got > 0 && block->size < kBlock; block->size += got)
        got = source->read(std::span(block->room).subspan(block->size));
      if (block->size == 0) break;
      if (!ready_.push(std::move(*block))) break;
    }
    ready_.close();
  } catch (...) {
    ready_.fail(std::current_exception());
  }
}

std::span<const std::byte> InputFile::next() {
  if (!current_.room.empty()) used_.push(std::move(current_));
  current_ = {};
  if (auto block = ready_.pop()) current_ = std::move(*block);
  return std::span<const std::byte>(current_.room).first(current_.size);
}

}  // namespace esmscale::data
