#include "esmscale/core/json.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

// A few characters of one line: errors are one line too.
std::string shown(std::string_view rest) {
  const std::string some(first_line(rest.substr(0, 12)));
  return some.empty() ? "the end of the line" : "'" + some + "'";
}

constexpr int kDeepest = 64;          // a recursive walk over a deeper document could overflow the stack
constexpr size_t kMostKeys = 10'000;  // of one object: an ordered one looks at all its keys to add another

using Observer = std::function<void(Json::parse_event_t, const Json&)>;

// Refuses a document that is nested too deeply or has too large an object, and shows the others to `observe`.
Json::parser_callback_t guarded(std::string_view where, const Observer& observe) {
  std::array<size_t, kDeepest> keys{};  // of the objects that are open, by depth
  return [where, &observe, keys](int depth, Json::parse_event_t event, const Json& parsed) mutable {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= kDeepest)
      throw Error({.where = std::string(where),
                   .expected = text("JSON of at most ", kDeepest, " nested levels"),
                   .found = "more"});
    if (opens) keys[static_cast<size_t>(depth)] = 0;
    if (event == Json::parse_event_t::key && ++keys[static_cast<size_t>(depth) - 1] > kMostKeys)
      throw Error({.where = std::string(where),
                   .expected = text("JSON objects of at most ", kMostKeys, " keys"),
                   .found = "more"});
    if (observe) observe(event, parsed);
    return true;
  };
}

Json parse(std::string_view source, std::string_view where, const Observer& observe) {
  if (source.find('\0') != source.npos)  // the parser would end there, whatever follows
    throw Error({.where = std::string(where), .expected = "JSON", .found = "a byte of zero in it"});
  try {
    return Json::parse(source.begin(), source.end(), guarded(where, observe), /*allow_exceptions=*/true,
                       /*ignore_comments=*/true);
  } catch (const Json::parse_error& error) {
    const size_t at = std::min(source.size(), error.byte > 0 ? error.byte - 1 : 0);
    const auto line = 1 + std::count(source.begin(), source.begin() + static_cast<ptrdiff_t>(at), '\n');
    const size_t line_start = at == 0 ? 0 : source.rfind('\n', at - 1) + 1;  // npos + 1 is 0
    throw Error({.where = text(where, ":", line, ":", at - line_start + 1),
                 .expected = "JSON",
                 .found = at < source.size() ? shown(source.substr(at)) : "the end of the text"});
  } catch (const Json::out_of_range&) {
    throw Error({.where = std::string(where), .expected = "JSON", .found = "a number that no double holds"});
  }
}

}  // namespace

Json parse_json(std::string_view source, std::string_view where) {
  return parse(source, where, nullptr);
}

Json parse_json_by_hand(std::string_view source, std::string_view where) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  std::string twice;
  Json json = parse(source, where, [&](Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
  });
  if (!twice.empty())
    throw Error({.where = std::string(where),
                 .expected = "each key once in its group",
                 .found = "'" + twice + "' twice",
                 .advice = "of two the last would count: put them together"});
  return json;
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

std::string to_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

void write_checked_json(const std::filesystem::path& path, Json json) {
  json.erase("checksum");
  json["checksum"] = checksum_hex(to_text(json));
  write_file(path, to_text(json, 2) + "\n");
}

Json read_checked_json(const std::filesystem::path& path) {
  Json json = read_json(path);
  const std::string stored = text_in(json, "checksum");
  if (stored.empty())
    throw Error(
        {.where = path.string(),
         .expected = "a JSON object with a text under 'checksum'",
         .found = json.is_object() && json.contains("checksum") ? to_text(json["checksum"]) : "none"});
  json.erase("checksum");
  if (const std::string actual = checksum_hex(to_text(json)); actual != stored)
    throw Error({.where = path.string(),
                 .expected = "checksum " + stored,
                 .found = actual,
                 .advice = "the file is damaged or was edited by hand"});
  return json;
}

}  // namespace esmscale
