// A data set of a few frames and shards in a folder of its own, its content known, for tests that look into
// its files.
#pragma once

#include "data/dataset/writer.h"
#include "data/fasta/fasta_text.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/thread_pool.h"
#include "esmscale/data/dataset/manifest.h"
#include "support/temporary.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <nlohmann/json.hpp>

namespace esmscale::data {

// Frames of 2,048 residues or 64 sequences, shards of 8,192 residues.
inline constexpr FrameRule kSmallFrames{
    .frame_residues = 2048, .frame_sequences = 64, .shard_residues = 8192};

inline void write_set(const std::filesystem::path& folder, const NamedProteins& proteins, uint64_t seed = 5) {
  const std::filesystem::path temporary = folder.string() + "-temporary";
  std::filesystem::create_directories(folder);
  std::filesystem::create_directories(temporary);
  ThreadPool workers(2);
  DatasetWriter writer(folder, temporary, workers, {.seed = seed, .eval_length = 99, .rule = kSmallFrames});
  for (const auto& [name, letters] : proteins) writer.add(name, codes_of(letters));
  writer.finish("", {{"made by", "a test"}});
  std::filesystem::remove_all(temporary);
}

// Every sequence, in the data set's order.
inline NamedProteins read_set(const Dataset& dataset) {
  SequenceReader reader(dataset);
  NamedProteins proteins;
  for (int64_t i = 0; i < dataset.sequences(); ++i) {
    std::string name = reader.identifier(i);
    proteins.emplace_back(std::move(name), letters_of(reader.residues(i)));
  }
  return proteins;
}

inline std::string bytes_in(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void put_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::remove(path);  // ext4 writes a truncated file through to the disk
  std::ofstream(path, std::ios::binary) << bytes;
}

// Changes the manifest as a program with another opinion would: its checksums hold.
template <class Edit>
void edit_manifest(const std::filesystem::path& folder, Edit edit) {
  Json document = read_checked_json(folder / kManifestName);
  edit(document);
  document["hash"] = checksum_hex(to_text(document["content"]));
  write_checked_json(folder / kManifestName, document);
}

// Changes a file's header the same way.
template <class Edit>
void edit_header(const std::filesystem::path& path, Edit edit) {
  std::string bytes = bytes_in(path);
  FileHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  edit(header);
  header.header_checksum = checksum_of(header);
  std::memcpy(bytes.data(), &header, sizeof header);
  put_bytes(path, bytes);
}

}  // namespace esmscale::data
