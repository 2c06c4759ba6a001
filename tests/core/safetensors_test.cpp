#include "esmscale/core/safetensors.h"

#include "support/error_of.h"
#include "support/temporary.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& content) {
    OutputFile(path_).write(std::string_view(content));
    return path_;
  }

  // The bytes of a file with this header (as it is, unpadded) and that number of data bytes.
  static std::string file_of(const std::string& header, size_t data_bytes) {
    const uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header +
           std::string(data_bytes, 'x');
  }

  std::string error_for(const std::string& content) {
    const std::string error = error_of([&] { SafetensorsFile file(write(content)); });
    if (error != "no error") {
      EXPECT_THAT(error, HasSubstr(path_.string()));
    }
    return error;
  }

  // One tensor "a" with this value in the header.
  std::string error_for_tensor(const std::string& tensor, size_t data_bytes = 8) {
    return error_for(file_of(R"({"a":)" + tensor + "}", data_bytes));
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "model.safetensors";
};

TEST_F(Safetensors, WhatIsWrittenIsRead) {
  std::vector<TensorEntry> entries{{.name = "b", .dtype = "F32", .shape = {2, 3}},
                                   {.name = "none", .dtype = "I64", .shape = {0, 7}},
                                   {.name = "a \"quoted\"", .dtype = "BF16", .shape = {}}};
  const std::string header = safetensors_header(entries, {{"format", "pt"}});
  EXPECT_EQ(header.size() % 64, 0u);
  std::string data(26, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i);

  const SafetensorsFile file(write(header + data));
  EXPECT_EQ(file.data_offset(), header.size());
  EXPECT_EQ(file.metadata().at("format"), "pt");
  ASSERT_EQ(file.entries().size(), 3u);
  EXPECT_THAT(file.find("b")->shape, ElementsAre(2, 3));
  EXPECT_EQ(file.find("b")->elements(), 6);
  EXPECT_EQ(file.find("none")->elements(), 0);
  EXPECT_EQ(file.find("a \"quoted\"")->dtype, "BF16");
  EXPECT_EQ(file.find("c"), nullptr);
  const std::span<const std::byte> last = file.bytes(*file.find("a \"quoted\""));
  ASSERT_EQ(last.size(), 2u);
  EXPECT_EQ(std::memcmp(last.data(), data.data() + 24, 2), 0);
}

// Oracle: a file as the published format prints it, its header padded with spaces and its tensors out of
// order.
TEST_F(Safetensors, EntriesComeByOffset) {
  const SafetensorsFile file(write(file_of(R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]},)"
                                           R"("a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}   )",
                                           5)));
  ASSERT_EQ(file.entries().size(), 2u);
  EXPECT_EQ(file.entries()[0].name, "a");
  EXPECT_EQ(file.entries()[1].name, "b");
  EXPECT_TRUE(file.metadata().empty());
}

TEST_F(Safetensors, EveryTruncationIsAnError) {
  std::vector<TensorEntry> entries{{.name = "a", .dtype = "F32", .shape = {2}}};
  const std::string whole = safetensors_header(entries, {}) + "12345678";
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(error_for(whole.substr(0, size)), "no error") << size << " bytes";
  EXPECT_THAT(error_for(whole.substr(0, whole.size() - 1)),
              AllOf(HasSubstr("8 bytes"), HasSubstr("7 bytes")));
  EXPECT_THAT(error_for(whole + "9"), HasSubstr("9 bytes after the header"));
}

// Any byte may be wrong: the reader may accept what is still a file, but must neither crash nor read outside
// it.
TEST_F(Safetensors, EveryFlippedByteIsAnErrorOrAFile) {
  std::vector<TensorEntry> entries{{.name = "a", .dtype = "F32", .shape = {2}},
                                   {.name = "b", .dtype = "U8", .shape = {1}}};
  const std::string whole = safetensors_header(entries, {{"k", "v"}}) + "123456789";
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      error_of([&] {
        const SafetensorsFile file(write(damaged));
        for (const TensorEntry& entry : file.entries()) EXPECT_LE(file.bytes(entry).size(), 9u);
      });
    }
  }
}

TEST_F(Safetensors, HeaderLength) {
  EXPECT_THAT(error_for(""), HasSubstr("at least 8 bytes"));
  EXPECT_THAT(error_for(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)), HasSubstr("at most 2 bytes"));
  EXPECT_THAT(error_for(std::string("\x03\0\0\0\0\0\0\0{}", 10)), HasSubstr("3 bytes announced"));
  // Above the format's bound, though the file is that long: a sparse file costs nothing to make.
  write(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8));
  std::filesystem::resize_file(path_, 200'000'000);
  EXPECT_THAT(error_of([&] { SafetensorsFile file(path_); }), HasSubstr("at most 100000000 bytes"));
}

TEST_F(Safetensors, HeaderThatIsNotOne) {
  EXPECT_THAT(error_for(file_of("not json", 0)), HasSubstr("JSON header"));
  EXPECT_THAT(error_for(file_of("", 0)), HasSubstr("JSON header"));
  EXPECT_THAT(error_for(file_of("[]", 0)), HasSubstr("JSON object"));
  EXPECT_THAT(error_for(file_of("{\"\xff\":1}", 0)), HasSubstr("JSON header"));
  EXPECT_THAT(error_for(file_of(R"({"a":1e999})", 0)), HasSubstr("JSON header"));
  EXPECT_THAT(error_for(file_of(std::string(1 << 20, '['), 0)), HasSubstr("nested"));
  EXPECT_THAT(error_for(file_of(R"({"a":{"shape":[[1]]}})", 0)), HasSubstr("nested"));
  EXPECT_THAT(error_for(file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                                R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                                0)),
              HasSubstr("'a' twice"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"U8","dtype":"F64","shape":[8],"data_offsets":[0,8]})"),
              HasSubstr("'dtype' twice"));
}

TEST_F(Safetensors, Metadata) {
  EXPECT_THAT(error_for(file_of(R"({"__metadata__":3})", 0)), HasSubstr("__metadata__"));
  EXPECT_THAT(error_for(file_of(R"({"__metadata__":{"k":3}})", 0)), HasSubstr("metadata that are strings"));
}

TEST_F(Safetensors, TensorWithAWrongField) {
  EXPECT_EQ(error_for_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"), "no error");
  EXPECT_THAT(error_for_tensor("3"), AllOf(HasSubstr("tensor 'a'"), HasSubstr("a JSON object")));
  EXPECT_THAT(error_for_tensor(R"({"shape":[2],"data_offsets":[0,8]})"), HasSubstr("dtype"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":7,"shape":[2],"data_offsets":[0,8]})"), HasSubstr("dtype"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F31","shape":[2],"data_offsets":[0,8]})"), HasSubstr("'F31'"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), HasSubstr("'-2'"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), HasSubstr("'2.0'"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]})"),
              HasSubstr("2^63"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[2]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8]})"), HasSubstr("1 numbers"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"),
              HasSubstr("before the begin"));
}

TEST_F(Safetensors, SizesThatDoNotHold) {
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"),
              AllOf(HasSubstr("12 bytes"), HasSubstr("8 by its offsets")));
  // 2^62 · 4 elements of one byte is 2^64, which is 0 when it wraps round.
  EXPECT_THAT(error_for_tensor(R"({"dtype":"U8","shape":[4611686018427387904,4],"data_offsets":[0,0]})", 0),
              HasSubstr("overflows"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]})", 0),
              HasSubstr("overflows"));
  EXPECT_THAT(error_for_tensor(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"),
              HasSubstr("16 bytes"));
}

TEST_F(Safetensors, LayoutThatDoesNotHold) {
  const auto two = [&](const std::string& first, const std::string& second, size_t bytes) {
    return error_for(file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
                                 R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                             bytes));
  };
  EXPECT_EQ(two("[4,8]", "[0,4]", 8), "no error");
  EXPECT_THAT(two("[0,4]", "[3,7]", 7), AllOf(HasSubstr("tensor 'b'"), HasSubstr("overlaps")));
  EXPECT_THAT(two("[0,4]", "[0,4]", 4), HasSubstr("overlaps"));
  EXPECT_THAT(two("[0,4]", "[5,9]", 9), HasSubstr("gap"));
  EXPECT_THAT(two("[1,5]", "[5,9]", 9), AllOf(HasSubstr("tensor 'a'"), HasSubstr("gap")));
  EXPECT_THAT(two("[9223372036854775803,9223372036854775807]", "[0,4]", 4), HasSubstr("gap"));
}

TEST_F(Safetensors, HeaderRefusesWhatNobodyCouldRead) {
  std::vector<TensorEntry> twice{{.name = "a", .dtype = "F32", .shape = {1}},
                                 {.name = "a", .dtype = "F32", .shape = {1}}};
  EXPECT_THAT(error_of([&] { safetensors_header(twice, {}); }), HasSubstr("'a'"));
  std::vector<TensorEntry> reserved{{.name = "__metadata__", .dtype = "F32", .shape = {1}}};
  EXPECT_THAT(error_of([&] { safetensors_header(reserved, {}); }), HasSubstr("__metadata__"));
  std::vector<TensorEntry> unknown{{.name = "a", .dtype = "F31", .shape = {1}}};
  EXPECT_THAT(error_of([&] { safetensors_header(unknown, {}); }), HasSubstr("F31"));
}

}  // namespace
}  // namespace esmscale
