// What several verbs check before they begin.
#pragma once

#include <filesystem>

namespace esmscale {

// Error unless a file can be made at `path`, which is then as it was before: no folder of that name, its own
// folder there and open to writing.
void require_output_file(const std::filesystem::path& path);

}  // namespace esmscale
