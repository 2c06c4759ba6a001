// The readers of the rooms with LibTorch: checkpoints, and the folders of Hugging Face.
#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/interop/hugging_face.h"
#include "fuzz/reader.h"

namespace esmscale::fuzz {
namespace {

namespace fs = std::filesystem;

void read_checkpoint(const fs::path& folder) {
  checkpoint::load_checkpoint(folder);
}

void read_hugging_face(const fs::path& folder) {
  interop::import_hugging_face(folder);
}

}  // namespace

std::vector<Reader> readers() {
  return {{"checkpoint", "checkpoint", "checkpoint.json", read_checkpoint, sealed_json},
          {"checkpoint-tensors", "checkpoint", "tensors.safetensors", read_checkpoint},
          {"hugging-face-config", "hugging_face", "config.json", read_hugging_face},
          {"vocabulary", "hugging_face", "vocab.txt", read_hugging_face},
          {"hugging-face-tensors", "hugging_face", "model.safetensors", read_hugging_face}};
}

}  // namespace esmscale::fuzz
