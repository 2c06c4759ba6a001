// tensors.safetensors of a checkpoint: written and read by all ranks together, with a checksum for each block
// of 8 MiB.
#pragma once

#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/dist/ranks.h"
#include "esmscale/model/weights.h"
#include "esmscale/optim/state.h"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::checkpoint {

inline constexpr const char* kTensorFile = "tensors.safetensors";

// Checksums of blocks first, first + every, … in hexadecimal.
std::vector<std::string> block_checksums(std::span<const std::byte> bytes, size_t first, size_t every);

// The checksums of all blocks, from what block_checksums(bytes, rank, ranks) gave on each rank, joined by
// spaces.
std::vector<std::string> interleave(const std::vector<std::string>& by_rank);

// The file with its safetensors header, as long as it will be. NoRoom when the disk is full.
void begin_tensor_file(const std::filesystem::path& path, std::string_view header, uint64_t bytes);

// Parts of these tensors, into a file that begin_tensor_file has made; data_offset: bytes of the header.
void write_tensors(const std::filesystem::path& path, uint64_t data_offset,
                   const std::vector<TensorEntry>& entries, std::span<const optim::StatePart> parts);

// All ranks together: Error on each of them when the length or a block is not as checkpoint.json has it.
void verify_blocks(const std::filesystem::path& path, const JsonReader& metadata, dist::Ranks& ranks);

// Error when the file is too small for the model: memory is taken only for weights that may be there.
void require_room(const SafetensorsFile& file, const config::ModelConfig& model);

// Error when the file has no such F32 tensor of this shape. `into`: on the CPU; `part`: on any device. The
// bytes of the part are returned.
void read_tensor(const SafetensorsFile& file, const std::string& name, const at::Tensor& into);
int64_t read_part(const SafetensorsFile& file, const optim::StatePart& part, at::IntArrayRef shape);

}  // namespace esmscale::checkpoint
