// What is fuzzed: each reader of each format, through the function that the verbs call.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::fuzz {

// A reader is given a folder as the program writes it, in which one file was changed.
struct Reader {
  std::string name;
  std::string seeds;  // the folder of the corpus whose folders are its seeds
  std::string file;   // the one that is changed, by its path in a seed
  // Reads the folder to its end. A good file and an esmscale::Error are fine; all else is a finding.
  std::function<void(const std::filesystem::path& folder)> read;
  // Writes the checksums into changed content, or a reader would look no further; may be empty.
  std::function<std::string(std::string content)> seal{};
};

// Of the program that is built: those of the rooms with LibTorch are a program of their own.
std::vector<Reader> readers();
// Those of them that read data sets, and what prepare makes them from.
std::vector<Reader> dataset_readers();

// A JSON document with the checksum that write_checked_json gives it; other text stays as it is.
std::string sealed_json(std::string content);

}  // namespace esmscale::fuzz
