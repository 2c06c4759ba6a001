// JSON, with keys kept in the order they were written; // comments are allowed in what people write by hand.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace esmscale {

using Json = nlohmann::ordered_json;

// Error, with `where`, the line and the column, unless it is JSON of at most 64 nested levels, and of at most
// 10,000 keys in an object.
Json parse_json(std::string_view source, std::string_view where);
// The same for what people write: a key that occurs twice in one object is an Error, too.
Json parse_json_by_hand(std::string_view source, std::string_view where);
Json read_json(const std::filesystem::path& path);

// Full precision, NaN and infinities as null.
std::string to_text(const Json& json, int indent = -1);
Json number_or_null(double value);  // null for NaN and infinities

// A document that carries a checksum of itself under "checksum", over its compact text without that key: a
// flipped digit in JSON is still JSON. read_ checks it.
void write_checked_json(const std::filesystem::path& path, Json json);
Json read_checked_json(const std::filesystem::path& path);

}  // namespace esmscale
