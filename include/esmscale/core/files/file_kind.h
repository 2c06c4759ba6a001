// Files that people have in place of the expected one, recognised by their first bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace esmscale {

struct FileKind {
  std::string name;    // with its article: "a Git LFS pointer"
  std::string advice;  // how to get at the data
};

inline constexpr size_t kBytesToRecognise = 512;

// None when the bytes are of no kind that is known here. Compressed text is looked into after decompression.
std::optional<FileKind> recognise_file(std::string_view first_bytes);

}  // namespace esmscale
