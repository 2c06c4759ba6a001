#include "interop/vocabulary.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"

#include <algorithm>
#include <numeric>
#include <sstream>

#include <nlohmann/json.hpp>

namespace esmscale::interop {
namespace {

std::vector<std::string> read_lines(const std::filesystem::path& file) {
  std::istringstream lines(read_file(file));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find_first_not_of(" \t\r"), last = line.find_last_not_of(" \t\r");
    names.push_back(first == std::string::npos ? "" : line.substr(first, last - first + 1));
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

std::vector<std::string> missing_from(const std::vector<std::string>& names,
                                      const std::vector<std::string>& wanted) {
  std::vector<std::string> missing;
  for (const std::string& name : wanted)
    if (std::find(names.begin(), names.end(), name) == names.end()) missing.push_back(name);
  return missing;
}

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& expected,
                       const std::string& found) {
  throw Error({.where = file.string(),
               .expected = expected,
               .found = found,
               .advice = "esmscale reads the 33 official tokens or the 29 of its own"});
}

void check_special(const std::filesystem::path& folder, const char* key, int64_t said, int64_t row) {
  if (said >= 0 && said != row)
    fail(folder / "config.json", text(key, " ", row, ", as vocab.txt has it"), std::to_string(said));
}

}  // namespace

std::vector<int64_t> read_vocabulary(const std::filesystem::path& folder, const HuggingFaceConfig& config) {
  const std::filesystem::path file = folder / "vocab.txt";
  const int64_t size = config.model.alphabet;
  if (size != 29 && size != 33) fail(folder / "config.json", "vocab_size 33 or 29", std::to_string(size));
  const data::TokenList& ours = data::TokenList::of(size);
  std::vector<std::string> theirs;
  if (std::filesystem::exists(file)) {
    theirs = read_lines(file);
  } else if (size == 33) {
    log_warning(folder.string(), " has no vocab.txt; its 33 tokens are taken to be in the official order");
    theirs = ours.names();
  } else {
    fail(file, "the names of its 29 tokens", "no such file");
  }

  const auto missing = missing_from(theirs, ours.names()), unknown = missing_from(ours.names(), theirs);
  if (!missing.empty() || !unknown.empty() || static_cast<int64_t>(theirs.size()) != size)
    fail(file, text(size, " known tokens, as config.json's vocab_size says"),
         text(theirs.size(), " lines; missing: ", missing.empty() ? "none" : join(missing, " "),
              "; unknown: ", unknown.empty() ? "none" : join(unknown, " ")));
  std::vector<int64_t> rows;
  for (const std::string& name : ours.names())
    rows.push_back(std::find(theirs.begin(), theirs.end(), name) - theirs.begin());
  check_special(folder, "mask_token_id", config.mask, rows[static_cast<size_t>(ours.mask())]);
  check_special(folder, "pad_token_id", config.pad, rows[static_cast<size_t>(ours.pad())]);
  return rows;
}

std::string unknown_token(const data::TokenList& tokens) {
  return tokens.id("<unk>") >= 0 ? "<unk>" : "X";
}

void write_tokenizer(const std::filesystem::path& folder, const data::TokenList& tokens) {
  write_file(folder / "vocab.txt", join(tokens.names(), "\n"));
  Json special{{"cls_token", "<cls>"},
               {"eos_token", "<eos>"},
               {"mask_token", "<mask>"},
               {"pad_token", "<pad>"},
               {"unk_token", unknown_token(tokens)}};
  write_file(folder / "special_tokens_map.json", to_text(special, 2) + "\n");
  special["tokenizer_class"] = "EsmTokenizer";
  write_file(folder / "tokenizer_config.json", to_text(special, 2) + "\n");
}

}  // namespace esmscale::interop
