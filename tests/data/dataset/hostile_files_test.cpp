// Files whose checksums hold and whose content lies. Oracle: docs/formats.md; each lie is written out here.
#include "data/dataset/reader.h"
#include "data/dataset/shards.h"
#include "esmscale/core/files/compression.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

class HostileFiles : public Shards {
 protected:
  template <class T>
  void edit_item(const std::string& name, size_t item, const std::function<void(T&)>& edit) {
    std::string bytes = bytes_in(folder_ / name);
    T value;
    char* place = bytes.data() + sizeof(FileHeader) + item * sizeof value;
    std::memcpy(&value, place, sizeof value);
    edit(value);
    std::memcpy(place, &value, sizeof value);
    put_bytes(folder_ / name, bytes);
  }

  void edit_first_frame(const std::function<void(FrameEntry&)>& edit) {
    edit_item<FrameEntry>("index.bin", 0, [&](FrameEntry& entry) {
      edit(entry);
      entry.entry_checksum = checksum_of(entry);
    });
  }
};

TEST_F(HostileFiles, NumbersInTheManifestAreBounded) {
  const std::string good = bytes_in(folder_ / "manifest.json");
  for (const char* key : {"sequences", "residues", "tokens", "max_length"})
    for (const Json& wrong : {Json(-1), Json(1.5), Json(int64_t{1} << 62), Json(UINT64_MAX), Json("1")}) {
      edit_manifest(folder_, [&](Json& document) { document["content"][key] = wrong; });
      EXPECT_THAT(error_of_opening(), AllOf(HasSubstr("manifest.json: content."), HasSubstr("expected")))
          << key;
      put_bytes(folder_ / "manifest.json", good);
    }
  for (const char* key : {"bytes", "items"})
    for (const Json& wrong : {Json(-1), Json(INT64_MAX), Json(UINT64_MAX)}) {
      edit_manifest(folder_, [&](Json& document) { document["content"]["files"][1][key] = wrong; });
      EXPECT_THAT(error_of_opening(), HasSubstr(std::string("content.files[1].") + key));
      put_bytes(folder_ / "manifest.json", good);
    }
}

TEST_F(HostileFiles, NamesInTheManifestStayInTheFolder) {
  fs::copy(folder_, root_ / "elsewhere", fs::copy_options::recursive);
  const std::string good = bytes_in(folder_ / "manifest.json");
  for (const std::string& name : {std::string("../elsewhere/shard-00000.zst"),
                                  (root_ / "elsewhere" / "shard-00000.zst").string(), std::string("..")}) {
    edit_manifest(folder_, [&](Json& document) { document["content"]["files"][0]["name"] = name; });
    EXPECT_THAT(error_of_opening(), HasSubstr("name of a file in the same folder")) << name;
    put_bytes(folder_ / "manifest.json", good);
  }
}

// A frame of a few hundred bytes that says it holds 4 GB: refused before memory is taken for it.
TEST_F(HostileFiles, SizesOfFramesAreBoundedByWhatTheirBytesCanHold) {
  constexpr uint32_t kHuge = 0xF0000000;
  const Dataset whole(folder_);
  const FrameEntry entry = whole.impl().frames()[0];
  edit_first_frame([&](FrameEntry& e) { e.identifier_bytes = kHuge; });
  EXPECT_THAT(error_of_reading(), AllOf(HasSubstr("identifiers.zst"), HasSubstr("cannot hold them")));

  edit_item<uint32_t>("lengths.bin", 0, [&](uint32_t& length) { length += kHuge - entry.residues; });
  const std::string lengths =
      bytes_in(folder_ / "lengths.bin").substr(sizeof(FileHeader), 4 * entry.sequences);
  edit_first_frame([&](FrameEntry& e) {
    e.residues = kHuge;
    e.length_checksum = checksum64(bytes_of(std::string_view(lengths)));
    e.identifier_bytes = entry.identifier_bytes;
  });
  EXPECT_THAT(error_of_reading(), AllOf(HasSubstr("shard-00000.zst"), HasSubstr("cannot hold them")));
}

// Lengths whose sum is right only modulo 2^32 would place a sequence outside its frame.
TEST_F(HostileFiles, LengthsDoNotWrapAround) {
  const Dataset whole(folder_);
  const FrameEntry entry = whole.impl().frames()[0];
  edit_item<uint32_t>("lengths.bin", 0, [](uint32_t& length) { length += 0x80000000; });
  edit_item<uint32_t>("lengths.bin", 1, [](uint32_t& length) { length += 0x80000000; });
  const std::string lengths =
      bytes_in(folder_ / "lengths.bin").substr(sizeof(FileHeader), 4 * entry.sequences);
  edit_first_frame(
      [&](FrameEntry& e) { e.length_checksum = checksum64(bytes_of(std::string_view(lengths))); });
  EXPECT_THAT(error_of_reading(), HasSubstr("lengths.bin"));
}

// Another program may seal any bytes: a code without a letter, an identifier without its line end.
TEST_F(HostileFiles, ContentOfFramesIsChecked) {
  const Dataset whole(folder_);
  const FrameEntry entry = whole.impl().frames()[0];
  const auto replace = [&](const std::string& name, uint64_t offset, uint32_t room,
                           std::string_view content) {
    const std::vector<std::byte> packed = compress(bytes_of(content));
    ASSERT_LE(packed.size(), room);
    std::string bytes = bytes_in(folder_ / name);
    std::memcpy(bytes.data() + offset, packed.data(), packed.size());
    put_bytes(folder_ / name, bytes);
    edit_first_frame([&](FrameEntry& e) {
      (name == "identifiers.zst" ? e.identifier_compressed_bytes : e.compressed_bytes) =
          static_cast<uint32_t>(packed.size());
      (name == "identifiers.zst" ? e.identifier_checksum : e.residue_checksum) =
          checksum64(bytes_of(content));
    });
  };
  replace("identifiers.zst", entry.identifier_offset, entry.identifier_compressed_bytes,
          std::string(entry.identifier_bytes, 'x'));
  EXPECT_THAT(error_of_reading(), HasSubstr("identifiers in frame 0"));
  replace("shard-00000.zst", entry.offset, entry.compressed_bytes, std::string(entry.residues, char(200)));
  EXPECT_THAT(error_of_reading(), HasSubstr("letter codes below 25"));
}

TEST_F(HostileFiles, AFrameLiesInsideItsFile) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{1} << 40, UINT64_MAX - 4}) {
    edit_first_frame([&](FrameEntry& entry) { entry.offset = offset; });
    EXPECT_THAT(error_of_reading(), HasSubstr("points outside the file")) << offset;
  }
}

}  // namespace
}  // namespace esmscale::data
