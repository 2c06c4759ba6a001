#include "downstream/embedding_files.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/core/text.h"
#include "esmscale/downstream/npy.h"

namespace esmscale::downstream {
namespace {

std::span<const std::byte> tensor_bytes(const at::Tensor& values) {
  return {static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()};
}

const char* dtype_name(EmbeddingType type) {
  return type == EmbeddingType::fp32 ? "F32" : type == EmbeddingType::fp16 ? "F16" : "BF16";
}

// Keeps a shard's tensors until it is full; a file appears whole.
class Shards final : public EmbeddingFiles {
 public:
  Shards(const EmbedOptions& options, const EmbeddingPlace& place)
      : options_(options), place_(place), shard_(place.shards), settled_(place.done) {}

  void add(const std::string& identifier, const std::vector<at::Tensor>& layers) override {
    for (size_t i = 0; i < layers.size(); ++i) {
      entries_.push_back({.name = text(identifier, "/layer_", options_.layers[i]),
                          .dtype = dtype_name(options_.type),
                          .shape = layers[i].sizes().vec()});
      tensors_.push_back(layers[i].contiguous());
      bytes_ += layers[i].nbytes();
    }
    ++pending_;
  }

  int64_t settle(bool at_end) override {
    if (pending_ > 0 && (at_end || bytes_ >= options_.shard_bytes)) write();
    return settled_;
  }

 private:
  void write() {
    const std::filesystem::path path = place_.folder / shard_name(shard_);
    const std::string header = safetensors_header(entries_, {{"format", "pt"}});
    require_free_space(path, header.size() + bytes_);
    AtomicOutput output(path);
    OutputFile file(output.path());
    file.write(header);
    for (const at::Tensor& tensor : tensors_) file.write(tensor_bytes(tensor));
    file.close();
    output.publish();
    entries_.clear();
    tensors_.clear();
    bytes_ = 0;
    settled_ += std::exchange(pending_, 0);
    ++shard_;
  }

  const EmbedOptions& options_;
  EmbeddingPlace place_;
  std::vector<TensorEntry> entries_;
  std::vector<at::Tensor> tensors_;
  uint64_t bytes_ = 0;
  int64_t pending_ = 0, shard_, settled_;
};

// Rows at their places in files of the final size.
class Matrices final : public EmbeddingFiles {
 public:
  Matrices(const EmbedOptions& options, const EmbeddingPlace& place) : done_(place.done) {
    const std::string type = options.type == EmbeddingType::fp32 ? "<f4" : "<f2";
    const std::string header = npy_header(type, place.proteins, place.width);
    row_bytes_ = static_cast<uint64_t>(place.width) * (options.type == EmbeddingType::fp32 ? 4 : 2);
    header_bytes_ = header.size();
    const uint64_t size = header_bytes_ + static_cast<uint64_t>(place.proteins) * row_bytes_;
    if (place.done == 0) require_free_space(place.folder, size * options.layers.size());
    for (const int64_t layer : options.layers) {
      files_.push_back(std::make_unique<OutputFile>(
          place.folder / text("layer_", layer, ".npy"),
          place.done > 0 ? OutputFile::Begin::in_place : OutputFile::Begin::empty));
      files_.back()->resize(size);
      files_.back()->write_at(0, std::as_bytes(std::span(header)));
    }
  }

  void add(const std::string&, const std::vector<at::Tensor>& layers) override {
    const uint64_t offset = header_bytes_ + static_cast<uint64_t>(done_) * row_bytes_;
    for (size_t i = 0; i < layers.size(); ++i)
      files_[i]->write_at(offset, tensor_bytes(layers[i].contiguous()));
    ++done_;
  }

  int64_t settle(bool at_end) override {
    if (at_end)
      for (auto& file : files_) file->close();
    return done_;
  }

 private:
  std::vector<std::unique_ptr<OutputFile>> files_;
  uint64_t header_bytes_ = 0, row_bytes_ = 0;
  int64_t done_;
};

}  // namespace

std::unique_ptr<EmbeddingFiles> open_embedding_files(const EmbedOptions& options,
                                                     const EmbeddingPlace& place) {
  if (options.format == EmbeddingFormat::npy) return std::make_unique<Matrices>(options, place);
  return std::make_unique<Shards>(options, place);
}

at::ScalarType scalar_type(EmbeddingType type) {
  return type == EmbeddingType::fp32 ? at::kFloat : type == EmbeddingType::fp16 ? at::kHalf : at::kBFloat16;
}

std::string shard_name(int64_t shard) {
  std::string number = std::to_string(shard + 1);
  number.insert(0, number.size() < 5 ? 5 - number.size() : 0, '0');
  return "embeddings-" + number + ".safetensors";
}

}  // namespace esmscale::downstream
