// Typed reading of a JSON document. Every Error names the file and the key ("checkpoint.json: data.epoch"),
// what was expected there and what was found.
#pragma once

#include "esmscale/core/json.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace esmscale {

// One value of a document, and its place in it. Copies are cheap: all readers of a document share it.
class JsonReader {
 public:
  // `where` names the document in errors, usually by the path of its file; may be empty.
  JsonReader(Json document, std::string where);
  static JsonReader of_file(const std::filesystem::path& path);

  // The value itself. Error when it has another type or lies outside [low, high].
  double number() const;  // finite
  int64_t integer(int64_t low = 0, int64_t high = std::numeric_limits<int64_t>::max()) const;
  uint64_t bits() const;  // an integer from 0 to 2^64 - 1, such as a seed
  std::string text() const;
  std::string file_name() const;  // a text that names a file within a folder: no "/", not "." or ".."
  bool boolean() const;
  std::vector<JsonReader> elements() const;                         // of an array
  std::vector<std::pair<std::string, JsonReader>> members() const;  // of an object, in its order
  const Json& json() const { return *value_; }

  // Members of an object. Error when this is no object or has no such key.
  JsonReader at(std::string_view key) const;
  bool has(std::string_view key) const;  // the key is there and its value is not null
  JsonReader object(std::string_view key) const;
  std::vector<JsonReader> array(std::string_view key) const { return at(key).elements(); }
  double number(std::string_view key) const { return at(key).number(); }
  int64_t integer(std::string_view key, int64_t low = 0,
                  int64_t high = std::numeric_limits<int64_t>::max()) const {
    return at(key).integer(low, high);
  }
  std::string text(std::string_view key) const { return at(key).text(); }
  bool boolean(std::string_view key) const { return at(key).boolean(); }

  // The same for keys that may be absent or null.
  double number_or(std::string_view key, double fallback) const;
  int64_t integer_or(std::string_view key, int64_t fallback, int64_t low = 0,
                     int64_t high = std::numeric_limits<int64_t>::max()) const;
  std::string text_or(std::string_view key, std::string fallback) const;
  bool boolean_or(std::string_view key, bool fallback) const;

  // Error unless "format" is `format` and "version" is at most `newest`: what every file of ours begins with.
  void require_format(std::string_view format, int newest) const;

  const std::string& where() const { return where_; }
  [[noreturn]] void fail(std::string expected) const;  // an Error about this value

 private:
  JsonReader(std::shared_ptr<const Json> value, std::string where, std::string path);
  std::string place() const;

  std::shared_ptr<const Json> value_;  // shares ownership of the whole document
  std::string where_, path_;           // path_: "data.epoch"; empty for the document itself
};

}  // namespace esmscale
