#include "cli/verbs/fit_bundle.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/files/compression.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/files/tar.h"
#include "esmscale/core/text.h"
#include "esmscale/core/version.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/study/runs/runs.h"

#include <map>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBundleFormat = "esmscale fit bundle 1";
constexpr const char* kPoints = "input/points.csv";

using Files = std::map<std::string, std::string>;  // by name in the archive

// A copy has no checkpoints: a run that a fit leaves out for want of one keeps its lock, and is left out
// again.
void add_run(Files& files, const std::string& to, const fs::path& folder) {
  const run::RunFolder run(folder);
  for (const fs::path& file : {run.config(), run.environment(), run.metrics()})
    if (fs::exists(file)) files[to + "/" + file.filename().string()] = read_file(file);
  const bool is_whole = run.newest_checkpoint().has_value() || !fs::exists(run.lock_file());
  if (!is_whole) files[to + "/" + run.lock_file().filename().string()] = "";
}

// Each argument as a folder of runs, with the study.json that stages are read from.
std::vector<std::string> add_runs(Files& files, const std::vector<std::string>& paths) {
  std::vector<std::string> arguments;
  for (size_t i = 0; i < paths.size(); ++i) {
    const std::string top = text("input/", i + 1);
    for (const fs::path& folder : study::run_folders({paths[i]})) {
      const fs::path path = fs::weakly_canonical(folder);
      add_run(files, text(top, "/runs/", path.filename().string()), path);
      const fs::path planned = path.parent_path().parent_path() / "study.json";
      if (fs::is_regular_file(planned)) files[top + "/study.json"] = read_file(planned);
    }
    arguments.push_back(top + "/runs");
  }
  return arguments;
}

// For a shell: in single quotes where it has more than plain letters.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./=:,";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string command_of(const std::vector<std::string>& words) {
  std::vector<std::string> shown;
  for (const std::string& word : words) shown.push_back(quoted(word));
  return join(shown, " ");
}

std::string readme(const std::string& archive, const std::string& refit) {
  return text(
      "A fit of esmscale ", version(), " (", revision(), "), with all that it was made from.\n\n",
      "  tar --zstd -xf ", quoted(archive), "   # into a folder of its own\n  ", refit,
      "\n  cmp laws.json refit/laws.json\n\n",
      "The last command prints nothing: the fit is the same to the last digit, with the same version on the "
      "same kind of machine.\nbundle.json has the command that made the fit, the versions, and the XXH3 "
      "checksum (128 bits, as xxh128sum prints it) of each file.\n");
}

std::string packed(const Files& files) {
  TarArchive archive;
  for (const auto& [name, content] : files) archive.add(name, content);
  const std::string bytes = archive.finish();
  const std::vector<std::byte> frame = compress(bytes_of(std::string_view(bytes)));
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

}  // namespace

void write_bundle(const fs::path& file, const Program& program, const FitInputs& inputs, Json laws) {
  Files files;
  std::vector<std::string> refit{"esmscale", "fit"};
  if (inputs.points.empty()) {
    const std::vector<std::string> arguments = add_runs(files, inputs.runs);
    refit.insert(refit.end(), arguments.begin(), arguments.end());
  } else {
    files[kPoints] = inputs.points;
    laws["basis"]["source"] = kPoints;
    refit.insert(refit.end(), {"--points", kPoints});
  }
  refit.insert(refit.end(), inputs.flags.begin(), inputs.flags.end());
  refit.insert(refit.end(), {"--output", "refit"});
  files["laws.json"] = laws::readable_text(laws);
  files["README.txt"] = readme(file.filename().string(), command_of(refit));
  Json checksums = Json::object();
  for (const auto& [name, content] : files) checksums[name] = checksum_hex(content);
  const Json bundle{{"format", kBundleFormat}, {"version", version()},
                    {"revision", revision()},  {"command", program.command_line},
                    {"refit", refit},          {"checksums", std::move(checksums)}};
  files["bundle.json"] = to_text(bundle, 2) + "\n";
  write_file(file, packed(files));
}

}  // namespace esmscale::cli
