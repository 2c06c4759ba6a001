// The files of a data set. Oracle: the sequences that were put in; and for the layout docs/formats.md, its
// numbers written out here again.
#include "data/dataset/shards.h"
#include "esmscale/data/dataset/format.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

namespace esmscale::data {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

const std::vector<std::string> kFiles = {"fingerprints.bin", "identifiers.zst", "index.bin",
                                         "lengths.bin",      "manifest.json",   "shard-00000.zst",
                                         "shard-00003.zst"};

TEST_F(Shards, GiveBackWhatWasPutIn) {
  const Dataset dataset(folder_);
  EXPECT_EQ(read_set(dataset), proteins_);
  dataset.verify();
  const DatasetManifest& manifest = dataset.manifest();
  int64_t residues = 0, longest = 0, leucines = 0;
  for (size_t i = 0; i < proteins_.size(); ++i) {
    const std::string& letters = proteins_[i].second;
    EXPECT_EQ(dataset.lengths()[i], letters.size());
    residues += static_cast<int64_t>(letters.size());
    longest = std::max(longest, static_cast<int64_t>(letters.size()));
    leucines += std::count(letters.begin(), letters.end(), 'L');
  }
  EXPECT_EQ(manifest.sequences, 600);
  EXPECT_EQ(manifest.residues, residues);
  EXPECT_EQ(manifest.tokens, residues + 1200);
  EXPECT_EQ(manifest.max_length, longest);
  EXPECT_EQ(manifest.residue_counts[0], leucines);
  EXPECT_EQ(std::accumulate(manifest.residue_counts.begin(), manifest.residue_counts.end(), int64_t{0}),
            residues);
  EXPECT_EQ(manifest.seed, 5u);
  EXPECT_EQ(manifest.eval_length, 99);
  EXPECT_GE(manifest.shards, 4);
  EXPECT_EQ(dataset.document().at("provenance").at("made by"), "a test");
}

TEST_F(Shards, AnyOrderOfReadingGivesTheSame) {
  const Dataset dataset(folder_);
  SequenceReader reader(dataset);
  RandomStream stream(3, Purpose::test, 0);
  for (int draw = 0; draw < 3000; ++draw) {
    const uint32_t i = stream.below(600);
    EXPECT_EQ(letters_of(reader.residues(i)), proteins_[i].second);
    if (draw % 3 == 0) {
      EXPECT_EQ(reader.identifier(i), proteins_[i].first);
    }
  }
  EXPECT_THAT(error_of([&] { reader.residues(600); }), HasSubstr("below 600"));
  EXPECT_THAT(error_of([&] { reader.residues(-1); }), HasSubstr("below 600"));
}

// docs/formats.md: header of 96 bytes that begins as a zstd skippable frame; then the payload.
TEST_F(Shards, LayoutIsAsDocumented) {
  const std::string lengths = bytes_in(folder_ / "lengths.bin");
  EXPECT_EQ(lengths.size(), 96u + 4 * 600);
  EXPECT_EQ(lengths.substr(0, 16), std::string("\x50\x2a\x4d\x18\x58\0\0\0ESMSCALE", 16));
  EXPECT_EQ(lengths.substr(16, 8), std::string("\2\0\0\0\1\0\0\0", 8));  // kind, version
  EXPECT_EQ(lengths.substr(40, 32), checksum_hex(lengths.substr(96)));
  EXPECT_EQ((bytes_in(folder_ / "index.bin").size() - 96) % 80, 0u);
  EXPECT_EQ(bytes_in(folder_ / "fingerprints.bin").size(), 96u + 16384);
}

// Standard zstd reads identifiers and shards, headers and all.
TEST_F(Shards, ZstdReadsThemAsTheyStand) {
  std::string names, letters;
  for (const auto& [name, residues] : proteins_) {
    names += name + "\n";
    letters += residues;
  }
  const auto plain = [&](const std::string& name) {
    const std::string bytes = bytes_in(folder_ / name);
    std::string out(1 << 20, '\0');
    const size_t size = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
    EXPECT_FALSE(ZSTD_isError(size));
    return out.substr(0, size);
  };
  EXPECT_EQ(plain("identifiers.zst"), names);
  const std::string first = plain("shard-00000.zst");
  EXPECT_EQ(letters_of({reinterpret_cast<const uint8_t*>(first.data()), first.size()}),
            letters.substr(0, first.size()));
  EXPECT_GE(first.size(), 8192u);
}

// Opening reads headers, index and lengths as they are needed: not the shards.
TEST_F(Shards, OpeningReadsHeadersOnly) {
  size_t bytes = 0, largest = 0;
  const Dataset dataset(folder_, [&](int descriptor, std::span<std::byte> into, uint64_t offset) {
    bytes += into.size();
    largest = std::max(largest, into.size());
    return ::pread(descriptor, into.data(), into.size(), static_cast<off_t>(offset));
  });
  EXPECT_EQ(largest, 96u);
  EXPECT_LE(bytes, 96u * 20);
}

// A program that looks at many data sets, as a study's report does, would run out of files.
TEST_F(Shards, ARefusedFileIsClosed) {
  std::string bad = bytes_in(folder_ / "shard-00000.zst");
  bad[0] = static_cast<char>(bad[0] ^ 1);
  put_bytes(folder_ / "shard-00000.zst", bad);
  const auto next_descriptor = [] {
    const int descriptor = ::dup(STDOUT_FILENO);
    ::close(descriptor);
    return descriptor;
  };
  const int before = next_descriptor();
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(error_of([&] { Dataset(folder_.string()); }), HasSubstr("shard-00000.zst"));
  EXPECT_EQ(next_descriptor(), before);
}

TEST_F(Shards, EveryFlippedByteIsFoundByVerify) {
  for (const std::string& name : kFiles) {
    const std::string good = bytes_in(folder_ / name);
    const size_t step = name == "manifest.json" ? 1 : 13;
    for (size_t at = 0; at < good.size(); at += at < 96 ? 1 : step) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      put_bytes(folder_ / name, bad);
      EXPECT_NE(error_of_verifying(), "no error") << name << " byte " << at;
    }
    put_bytes(folder_ / name, good);
  }
  EXPECT_EQ(error_of_verifying(), "no error");
}

// Without verify(): what is read is right, or an Error names the file.
TEST_F(Shards, NoFlippedByteGivesOtherSequences) {
  for (const std::string& name : kFiles) {
    const std::string good = bytes_in(folder_ / name);
    int found = 0, tried = 0;
    for (size_t at = 0; at < good.size(); at += at < 96 ? 7 : 101, ++tried) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      put_bytes(folder_ / name, bad);
      const std::string error = error_of_reading();
      if (error == "no error") continue;
      ++found;
      EXPECT_THAT(error, AnyOf(HasSubstr(name), HasSubstr("manifest.json"), HasSubstr("lengths.bin"))) << at;
    }
    put_bytes(folder_ / name, good);
    EXPECT_GE(found, name == "fingerprints.bin" ? 14 : tried) << name;  // fingerprints are not read here
  }
}

TEST_F(Shards, TruncatedOrMissingFilesAreNamedAtOpening) {
  for (const std::string& name : kFiles) {
    const std::string good = bytes_in(folder_ / name);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{50}, good.size() / 2, good.size() - 2}) {
      put_bytes(folder_ / name, good.substr(0, size));
      EXPECT_THAT(error_of_opening(), AllOf(HasSubstr(name), HasSubstr("expected"))) << size;
    }
    fs::remove(folder_ / name);
    EXPECT_THAT(error_of_opening(), HasSubstr(name));
    put_bytes(folder_ / name, good);
    if (name != "manifest.json") {
      put_bytes(folder_ / name, good + "x");
      EXPECT_THAT(error_of_opening(), HasSubstr(name)) << "longer";
      put_bytes(folder_ / name, good);
    }
  }
}

TEST_F(Shards, NewerVersionsAreNamed) {
  for (const std::string& name : kFiles) {
    if (name == "manifest.json") continue;
    const std::string good = bytes_in(folder_ / name);
    edit_header(folder_ / name, [](FileHeader& header) { header.version = 2; });
    EXPECT_THAT(error_of_opening(),
                AllOf(HasSubstr(name), HasSubstr("version 2"), HasSubstr("newer esmscale")));
    put_bytes(folder_ / name, good);
  }
  edit_manifest(folder_, [](Json& document) { document["version"] = 2; });
  EXPECT_THAT(error_of_opening(),
              AllOf(HasSubstr("manifest.json"), HasSubstr("version 2"), HasSubstr("newer esmscale")));
}

// The other set differs in one letter: every file has the same size.
TEST_F(Shards, FilesOfAnotherSetAreNamedAtOpening) {
  NamedProteins others = proteins_;
  for (auto& [name, letters] : others) {
    std::reverse(letters.begin(), letters.end());
    name[0] = 'q';
  }
  std::swap(others.front(), others.back());
  const fs::path other = root_ / "other";
  write_set(other, others);
  for (const std::string& name : kFiles) {
    if (name == "manifest.json") continue;
    const std::string good = bytes_in(folder_ / name);
    fs::copy_file(other / name, folder_ / name, fs::copy_options::overwrite_existing);
    EXPECT_THAT(error_of_opening(), AllOf(HasSubstr(name), HasSubstr("belongs to another data set")));
    put_bytes(folder_ / name, good);
  }
  fs::copy_file(folder_ / "shard-00001.zst", folder_ / "shard-00000.zst",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of_opening(),
              AllOf(HasSubstr("shard-00000.zst"), HasSubstr("belongs to another data set")));
}

TEST_F(Shards, FilesOfAnotherProgramAreNamed) {
  const std::string good = bytes_in(folder_ / "lengths.bin");
  put_bytes(folder_ / "lengths.bin", std::string(good.size(), 'x'));
  EXPECT_THAT(error_of_opening(), AllOf(HasSubstr("lengths.bin"), HasSubstr("magic")));
  put_bytes(folder_ / "lengths.bin", good);
  edit_header(folder_ / "lengths.bin", [](FileHeader& header) { header.kind = FileKind::index; });
  EXPECT_THAT(error_of_opening(), HasSubstr("lengths.bin"));
}

TEST_F(Shards, ManifestsThatDisagreeAreNamed) {
  const std::string good = bytes_in(folder_ / "manifest.json");
  const std::vector<std::pair<std::string, std::function<void(Json&)>>> wrong = {
      {"format", [](Json& d) { d["format"] = "another"; }},
      {"the key 'split'", [](Json& d) { d.erase("provenance"), d.erase("split"); }},
      {"content.sequences: expected a whole number", [](Json& d) { d["content"]["sequences"] = "many"; }},
      {"content.files[0].kind", [](Json& d) { d["content"]["files"][0]["kind"] = "plot"; }},
      {"files that hold 700 sequences",
       [](Json& d) {
         d["content"]["sequences"] = 700,
         d["content"]["tokens"] = d["content"]["residues"].get<int64_t>() + 1400;
       }},
      {"files that hold", [](Json& d) { d["content"]["files"].erase(0); }},
      {"another data set", [](Json& d) { d["content"]["files"][0]["items"] = 1; }},
  };
  for (const auto& [message, edit] : wrong) {
    edit_manifest(folder_, edit);
    EXPECT_THAT(error_of_opening(), HasSubstr(message));
    put_bytes(folder_ / "manifest.json", good);
  }
  Json document = read_checked_json(folder_ / "manifest.json");
  document["hash"] = "0";
  write_checked_json(folder_ / "manifest.json", document);
  EXPECT_THAT(error_of_opening(), HasSubstr("as its content has"));
  put_bytes(folder_ / "manifest.json", "[1, 2]");
  EXPECT_THAT(error_of_opening(), HasSubstr("checksum"));
}

TEST_F(Shards, FoldersThatAreNoDataSetAreTold) {
  EXPECT_THAT(error_of([&] { Dataset d(root_ / "absent"); }),
              AllOf(HasSubstr("absent"), HasSubstr("found nothing")));
  EXPECT_THAT(error_of([&] { Dataset d(folder_ / "lengths.bin"); }), HasSubstr("found a file"));
  EXPECT_THAT(error_of([&] { Dataset d(root_.path()); }), HasSubstr("no manifest.json"));
  fs::remove(folder_ / "manifest.json");
  EXPECT_THAT(error_of_opening(), HasSubstr("interrupted prepare"));
}

TEST_F(Shards, AnEmptySetIsRefused) {
  EXPECT_THAT(error_of([&] { write_set(root_ / "empty", {}); }), HasSubstr("at least one sequence"));
}

TEST_F(Shards, OneLongSequenceIsAFrameOfItsOwn) {
  const NamedProteins proteins = {{"short", "MK"}, {"long", std::string(50000, 'W')}, {"last", "V"}};
  write_set(root_ / "long", proteins);
  EXPECT_EQ(read_set(Dataset(root_ / "long")), proteins);
}

}  // namespace
}  // namespace esmscale::data
