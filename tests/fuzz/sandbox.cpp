#include "fuzz/sandbox.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json.h"
#include "support/paths.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace esmscale::fuzz {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::string sealed_json(std::string content) {
  Json json = Json::parse(content, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (!json.is_object()) return content;
  json.erase("checksum");
  json["checksum"] = checksum_hex(to_text(json));
  return to_text(json, 2) + "\n";
}

fs::path sandbox_root() {
  const fs::path memory = fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
  return memory / ("esmscale-fuzz-" + std::to_string(::getpid()));
}

std::vector<Seed> seeds_of(const Reader& reader) {
  std::vector<Seed> seeds;
  const fs::path corpus = source_folder() / "tests/fuzz/corpus" / reader.seeds;
  if (fs::is_directory(corpus))
    for (const fs::directory_entry& entry : fs::directory_iterator(corpus))
      if (fs::exists(entry.path() / reader.file))
        seeds.push_back({entry.path(), content_of(entry.path() / reader.file)});
  std::sort(seeds.begin(), seeds.end(), [](const Seed& a, const Seed& b) { return a.folder < b.folder; });
  if (seeds.empty())
    throw Error({.where = corpus.string(),
                 .expected = "folders with a file " + reader.file,
                 .found = "none",
                 .advice = "make them with tests/fuzz/make_corpus.sh"});
  return seeds;
}

Sandbox::Sandbox(const Reader& reader, fs::path root) : reader_(reader), root_(std::move(root)) {
  fs::create_directories(root_);
}

Sandbox::~Sandbox() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

Outcome Sandbox::run(const Seed& seed, const std::string& content) {
  if (copied_ != seed.folder) {
    fs::remove_all(root_ / "seed");
    fs::copy(seed.folder, root_ / "seed", fs::copy_options::recursive);
    copied_ = seed.folder;
  }
  std::ofstream(root_ / "seed" / reader_.file, std::ios::binary)
      << (reader_.seal ? reader_.seal(content) : content);
  try {
    reader_.read(root_ / "seed");
    return Outcome::read;
  } catch (const Error& error) {
    refusal_ = error.what();
    if (refusal_.empty() || refusal_.find('\n') != std::string::npos)
      throw std::logic_error("an error that is not one line: " + refusal_);
    return Outcome::refused;
  } catch (const std::exception& other) {
    throw std::logic_error(std::string("an exception of a library: ") + other.what());
  }
}

}  // namespace esmscale::fuzz
