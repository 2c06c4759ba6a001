#include "esmscale/core/json_reader.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

constexpr size_t kLongestShown = 80;

std::string shown(const Json& value) {
  if (value.is_object()) return value.empty() ? "an empty object" : "an object";
  if (value.is_array()) return text("an array of ", value.size());
  const std::string whole = to_text(value);
  return whole.size() > kLongestShown ? whole.substr(0, kLongestShown) + "…" : whole;
}

std::string bounds(int64_t low, int64_t high) {
  if (high == std::numeric_limits<int64_t>::max()) return text("a whole number of at least ", low);
  return text("a whole number from ", low, " to ", high);
}

}  // namespace

JsonReader::JsonReader(Json document, std::string where)
    : value_(std::make_shared<const Json>(std::move(document))), where_(std::move(where)) {}

JsonReader::JsonReader(std::shared_ptr<const Json> value, std::string where, std::string path)
    : value_(std::move(value)), where_(std::move(where)), path_(std::move(path)) {}

JsonReader JsonReader::of_file(const std::filesystem::path& path) {
  return {read_json(path), path.string()};
}

std::string JsonReader::place() const {
  return path_.empty() || where_.empty() ? where_ + path_ : where_ + ": " + path_;
}

void JsonReader::fail(std::string expected) const {
  throw Error({.where = place(), .expected = std::move(expected), .found = shown(*value_)});
}

double JsonReader::number() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>())) fail("a number");
  return value_->get<double>();
}

int64_t JsonReader::integer(int64_t low, int64_t high) const {
  const bool fits = value_->is_number_integer() &&
                    !(value_->is_number_unsigned() && value_->get<uint64_t>() > uint64_t{INT64_MAX});
  if (!fits || value_->get<int64_t>() < low || value_->get<int64_t>() > high) fail(bounds(low, high));
  return value_->get<int64_t>();
}

uint64_t JsonReader::bits() const {
  if (!value_->is_number_unsigned()) fail("a whole number from 0 to 2^64 - 1");
  return value_->get<uint64_t>();
}

std::string JsonReader::text() const {
  if (!value_->is_string()) fail("a text");
  return value_->get<std::string>();
}

std::string JsonReader::file_name() const {
  std::string name = value_->is_string() ? value_->get<std::string>() : "";
  if (!is_file_name(name)) fail("the name of a file in the same folder");
  return name;
}

bool JsonReader::boolean() const {
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

std::vector<JsonReader> JsonReader::elements() const {
  if (!value_->is_array()) fail("an array");
  std::vector<JsonReader> all;
  for (const Json& element : *value_)
    all.push_back(
        {std::shared_ptr<const Json>(value_, &element), where_, esmscale::text(path_, "[", all.size(), "]")});
  return all;
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members() const {
  if (!value_->is_object()) fail("an object");
  std::vector<std::pair<std::string, JsonReader>> all;
  for (const auto& [key, value] : value_->items())  // not by at(), which looks at the keys before it
    all.emplace_back(key, JsonReader(std::shared_ptr<const Json>(value_, &value), where_,
                                     path_.empty() ? key : path_ + "." + key));
  return all;
}

JsonReader JsonReader::at(std::string_view key) const {
  if (!value_->is_object()) fail("an object");
  const auto member = value_->find(std::string(key));
  std::string path = path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  if (member == value_->end())
    throw Error({.where = where_, .expected = "the key '" + path + "'", .found = "none of that name"});
  return {std::shared_ptr<const Json>(value_, &*member), where_, std::move(path)};
}

bool JsonReader::has(std::string_view key) const {
  if (!value_->is_object()) fail("an object");
  const auto member = value_->find(std::string(key));
  return member != value_->end() && !member->is_null();
}

JsonReader JsonReader::object(std::string_view key) const {
  JsonReader member = at(key);
  if (!member.value_->is_object()) member.fail("an object");
  return member;
}

double JsonReader::number_or(std::string_view key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

int64_t JsonReader::integer_or(std::string_view key, int64_t fallback, int64_t low, int64_t high) const {
  return has(key) ? integer(key, low, high) : fallback;
}

std::string JsonReader::text_or(std::string_view key, std::string fallback) const {
  return has(key) ? text(key) : std::move(fallback);
}

bool JsonReader::boolean_or(std::string_view key, bool fallback) const {
  return has(key) ? boolean(key) : fallback;
}

void JsonReader::require_format(std::string_view format, int newest) const {
  if (!value_->is_object() || text_or("format", "") != format)
    throw Error(
        {.where = where_,
         .expected = esmscale::text("a file whose \"format\" is \"", format, "\""),
         .found = value_->is_object() && has("format") ? shown(at("format").json()) : "another document"});
  if (const int64_t version = integer("version"); version > newest)
    throw Error({.where = where_,
                 .expected = esmscale::text("format version ", newest, " or older"),
                 .found = esmscale::text("version ", version),
                 .advice = "use a newer esmscale"});
}

}  // namespace esmscale
