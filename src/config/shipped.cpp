// Finds the shipped configurations and scripts: next to the program when installed, next to the sources
// otherwise.
#include "esmscale/config/config.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <filesystem>

namespace esmscale::config {
namespace {

namespace fs = std::filesystem;

// Empty when neither is there.
fs::path shipped(const char* in_installation, const char* in_sources) {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& folder :
       {program / "../share/esmscale" / in_installation, ESMSCALE_SOURCES / fs::path(in_sources)})
    if (fs::is_directory(folder)) return fs::weakly_canonical(folder);
  return {};
}

fs::path shipped_folder() {
  return shipped("configs", "configs");
}

}  // namespace

std::vector<fs::path> shipped_configs() {
  std::vector<fs::path> found;
  if (const fs::path folder = shipped_folder(); !folder.empty())
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".json") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

fs::path shipped_script(const std::string& name) {
  fs::path script = shipped("slurm", "scripts/slurm") / name;
  if (fs::is_regular_file(script)) return script;
  throw Error({.where = name,
               .expected = "this script in share/esmscale/slurm next to the program, or in its sources",
               .found = "none",
               .advice = "install with cmake --install"});
}

fs::path find_config(const fs::path& file) {
  if (fs::is_regular_file(file) || fs::is_fifo(file)) return file;
  for (const fs::path& candidate : {shipped_folder() / file, shipped_folder() / (file.string() + ".json")})
    if (file.is_relative() && fs::is_regular_file(candidate)) return candidate;
  std::vector<std::string> names;
  for (const fs::path& shipped : shipped_configs()) names.push_back(shipped.filename());
  throw usage_error(
      {.where = file.string(),
       .expected = "a configuration file, as given or among the shipped ones (" + join(names, ", ") + ")",
       .found = "none",
       .advice = did_you_mean(file.filename().string(), names)});
}

}  // namespace esmscale::config
