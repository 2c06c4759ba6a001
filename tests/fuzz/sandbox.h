// A folder in which one file of a seed is changed again and again, and read each time.
#pragma once

#include "fuzz/reader.h"

#include <filesystem>
#include <string>
#include <vector>

namespace esmscale::fuzz {

struct Seed {
  std::filesystem::path folder;
  std::string content;  // of the file that is changed
};

// In memory where the system has such a folder, and of this process.
std::filesystem::path sandbox_root();

// The seeds of a reader in tests/fuzz/corpus, by name. Error when there are none.
std::vector<Seed> seeds_of(const Reader& reader);

enum class Outcome { read, refused };

class Sandbox {
 public:
  // `root`: a folder of its own, made and removed.
  Sandbox(const Reader& reader, std::filesystem::path root);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // Puts `content`, sealed, into a copy of the seed and reads it. An exception that is no esmscale::Error,
  // and an Error of more than one line or without words, comes out as std::logic_error.
  Outcome run(const Seed& seed, const std::string& content);
  const std::string& refusal() const { return refusal_; }  // the words of the last one

 private:
  const Reader& reader_;
  std::filesystem::path root_, copied_;
  std::string refusal_;
};

}  // namespace esmscale::fuzz
