// The bytes of a file, decompressed: plain, gzip (also of several members) or zstd (also of several frames),
// recognised by their first bytes. "-" is the standard input.
#pragma once

#include "esmscale/core/files/files.h"
#include "esmscale/core/queue.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace esmscale::data {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `into` as far as the data reach; 0 is the end. Error when the data are cut short or damaged.
  virtual size_t read(std::span<std::byte> into) = 0;
};

// A decompressed block; the reader gives it back when done.
struct InputBlock {
  std::vector<std::byte> room;
  size_t size = 0;
};

// Opens a file and decompresses it on a thread of its own, a few blocks ahead.
class InputFile {
 public:
  // Error when the file is missing, a folder, empty, or of a compression that is not read here.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& name() const { return name_; }  // as given; "standard input" for "-"
  // The next block, valid until the next call; empty at the end. Throws the error of the reading thread.
  std::span<const std::byte> next();

  uint64_t raw_bytes() const {
    return raw_bytes_.load(std::memory_order_relaxed);
  }  // read of the file so far

 private:
  void run();

  std::string name_;
  OpenedInput input_;
  std::atomic<uint64_t> raw_bytes_ = 0;
  BoundedQueue<InputBlock> ready_, used_;
  InputBlock current_;
  std::thread thread_;
};

// Size of a file that can be read as FASTA, 0 for "-". Error when it is missing, a folder or unreadable.
uint64_t input_bytes(const std::string& path);

}  // namespace esmscale::data
