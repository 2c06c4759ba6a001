// Oracle: the rules of docs/formats.md and of the headers; every wrong document is written out here.
#include "esmscale/core/json.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

JsonReader reader_of(const std::string& source) {
  return {parse_json(source, "test"), "file.json"};
}

TEST(Json, DeepNestingIsAnErrorOfEveryReader) {
  EXPECT_EQ(error_of([] { parse_json(nested(64), "x"); }), "no error");
  for (const size_t levels : {65u, 80'000u}) {
    EXPECT_THAT(error_of([&] { parse_json(nested(levels), "x"); }),
                AllOf(HasSubstr("x: "), HasSubstr("at most 64 nested levels")));
    EXPECT_THAT(error_of([&] { parse_json_by_hand(nested(levels), "x"); }), HasSubstr("64 nested levels"));
    const TemporaryFolder folder;
    write_file(folder / "a.json", "{\"a\":" + nested(levels) + "}");
    EXPECT_THAT(error_of([&] { read_json(folder / "a.json"); }), HasSubstr("a.json: "));
    EXPECT_THAT(error_of([&] { read_checked_json(folder / "a.json"); }), HasSubstr("64 nested levels"));
    const std::string header = "{\"a\":" + nested(levels) + "}";
    const uint64_t length = header.size();
    write_file(folder / "t", std::string(reinterpret_cast<const char*>(&length), 8) + header);
    EXPECT_THAT(error_of([&] { SafetensorsFile(folder / "t"); }), HasSubstr("deeper"));
  }
}

// An ordered object looks at all its keys to add one, so that a million of them would take hours.
TEST(Json, AnObjectOfTooManyKeysIsAnErrorOfEveryReader) {
  const auto document = [](int keys, const std::string& first) {
    std::string source = "{" + first;
    for (int key = 1; key < keys; ++key) source += text(",\"", key, "\":0");
    return source + "}";
  };
  // Each object counts for itself, also those within others.
  const std::string inner = document(9'999, "\"a\":0");
  EXPECT_EQ(error_of([&] { parse_json(document(10'000, "\"a\":[" + inner + "," + inner + "]"), "x"); }),
            "no error");
  const std::string large = document(10'001, "\"a\":0");
  EXPECT_THAT(error_of([&] { parse_json(large, "x"); }),
              AllOf(HasSubstr("x: "), HasSubstr("at most 10000 keys")));
  EXPECT_THAT(error_of([&] { parse_json_by_hand("[1, " + large + "]", "x"); }), HasSubstr("10000 keys"));
}

TEST(Json, ErrorsAreOurWords) {
  EXPECT_EQ(error_of([] { parse_json("[1e999]", "x"); }),
            "x: expected JSON, found a number that no double holds");
  EXPECT_THAT(error_of([] { parse_json("{\"a\": \xff}", "x"); }), HasSubstr("x:1:7: expected JSON"));
}

TEST(JsonReader, ReadsWhatIsThere) {
  const JsonReader root =
      reader_of(R"({"n": 2.5, "i": 7, "t": "word", "b": true, "o": {"a": [1, 2]}, "z": null})");
  EXPECT_EQ(root.number("n"), 2.5);
  EXPECT_EQ(root.integer("i"), 7);
  EXPECT_EQ(root.text("t"), "word");
  EXPECT_TRUE(root.boolean("b"));
  EXPECT_EQ(root.object("o").array("a")[1].integer(), 2);
  EXPECT_FALSE(root.has("z"));
  EXPECT_EQ(root.number_or("absent", 3), 3);
  EXPECT_EQ(root.text_or("z", "none"), "none");
  EXPECT_EQ(root.members()[2].first, "t");
}

TEST(CheckedJson, AChecksumThatIsNoTextIsNamed) {
  const TemporaryFolder folder;
  for (const char* document : {R"({"checksum": 5})", R"({"checksum": null})", R"({"a": 1})", "[]", "5"}) {
    write_file(folder / "state.json", document);
    EXPECT_THAT(error_of([&] { read_checked_json(folder / "state.json"); }),
                AllOf(HasSubstr("state.json: "), HasSubstr("'checksum'")))
        << document;
  }
}

TEST(JsonReader, ErrorsNameFileAndKey) {
  const JsonReader root =
      reader_of(R"({"i": -7, "big": 18446744073709551615, "o": {"a": [1, "x"]}, "t": "t"})");
  EXPECT_EQ(error_of([&] { root.integer("i"); }),
            "file.json: i: expected a whole number of at least 0, found -7");
  EXPECT_THAT(error_of([&] { root.integer("big"); }), HasSubstr("found 18446744073709551615"));
  EXPECT_EQ(root.at("big").bits(), 18446744073709551615u);
  EXPECT_EQ(error_of([&] { root.object("o").array("a")[1].number(); }),
            "file.json: o.a[1]: expected a number, found \"x\"");
  EXPECT_EQ(error_of([&] { root.object("o").text("b"); }),
            "file.json: expected the key 'o.b', found none of that name");
  EXPECT_EQ(error_of([&] { root.object("t"); }), "file.json: t: expected an object, found \"t\"");
  EXPECT_EQ(error_of([&] { root.at("t").at("u"); }), "file.json: t: expected an object, found \"t\"");
}

TEST(JsonReader, AFileNameStaysInItsFolder) {
  for (const char* name : {"", ".", "..", "/etc/passwd", "../x", "a/b", "a\\u0000b"}) {
    const JsonReader root = reader_of(std::string("{\"name\": \"") + name + "\"}");
    EXPECT_THAT(error_of([&] { root.at("name").file_name(); }),
                HasSubstr("name of a file in the same folder"));
  }
  EXPECT_EQ(reader_of(R"({"name": "shard-00001.zst"})").at("name").file_name(), "shard-00001.zst");
}

TEST(JsonReader, FormatAndVersion) {
  EXPECT_EQ(error_of([] { reader_of(R"({"format": "f", "version": 2})").require_format("f", 2); }),
            "no error");
  EXPECT_THAT(error_of([] { reader_of(R"({"format": "f", "version": 3})").require_format("f", 2); }),
              AllOf(HasSubstr("format version 2 or older"), HasSubstr("version 3")));
  EXPECT_THAT(error_of([] { reader_of("[]").require_format("f", 2); }), HasSubstr("another document"));
}

TEST(Violations, AreReportedTogether) {
  Violations violations;
  violations.refuse({.where = "x", .expected = "", .found = ""});
  violations.require(true, "not this");
  violations.require(false, "first");
  violations.collect([] { throw Error({.where = "second", .expected = "a", .found = "b"}); });
  EXPECT_EQ(error_of([&] { violations.refuse({.where = "x", .expected = "", .found = ""}); }),
            "x: first; second: expected a, found b");
}

}  // namespace
}  // namespace esmscale
