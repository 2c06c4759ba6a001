#include "esmscale/cli/info.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset.h"
#include "esmscale/data/shard_format.h"
#include "esmscale/data/shard_manifest.h"

#include <ostream>
#include <string>

#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

Json letters(const DatasetManifest& manifest) {
  Json counts = Json::object();
  for (size_t code = 0; code < kLetters.size(); ++code)
    counts[std::string(1, kLetters[code])] = manifest.residue_counts[code];
  return counts;
}

}  // namespace

bool is_dataset(const std::filesystem::path& path) {
  // Not by its manifest, which other folders have too, and a damaged or interrupted set may lack.
  for (const std::string& name :
       {file_name(FileKind::lengths), file_name(FileKind::index), std::string(kStageName)})
    if (std::filesystem::exists(path / name)) return true;
  return false;
}

Json dataset_info(const std::filesystem::path& path, bool verify) {
  const Dataset dataset(path);
  if (verify) dataset.verify();
  const DatasetManifest& manifest = dataset.manifest();
  const Json& document = dataset.document();
  Json info = {
      {"kind", "dataset"},
      {"path", path.string()},
      {"sequences", manifest.sequences},
      {"tokens", manifest.tokens},
      {"residues", manifest.residues},
      {"shards", manifest.shards},
      {"bytes", manifest.bytes},
      {"seed", manifest.seed},
      {"eval_length", manifest.eval_length},
      {"max_length", manifest.max_length},
      {"mean_length", static_cast<double>(manifest.residues) / static_cast<double>(manifest.sequences)},
      {"residue_counts", letters(manifest)},
      {"unigram_entropy", manifest.unigram_entropy},
      {"baseline_loss", manifest.baseline_loss},
      {"hash", manifest.hash},
      {"split", manifest.split},
      {"provenance", document.at("provenance")},
      {"verified", verify}};
  if (document.contains("holdout_report")) info["holdout_report"] = document["holdout_report"];
  return info;
}

void print_dataset_info(std::ostream& out, const Json& info) {
  const auto number = [&](const char* key) { return info.at(key).get<double>(); };
  const auto row = [&](std::string_view name, const std::string& value) {
    out << name << std::string(18 - name.size(), ' ') << value << "\n";
  };
  row("data set", info.at("path"));
  row("sequences", text(info.at("sequences").get<int64_t>()));
  row("residues", text(info.at("residues").get<int64_t>(), "  (mean ", fixed(number("mean_length"), 1),
                       ", longest ", info.at("max_length").get<int64_t>(), ")"));
  row("tokens", text(info.at("tokens").get<int64_t>(), "  (with START and END)"));
  row("on disk", text(human_bytes(number("bytes")), " in ", info.at("shards").get<int64_t>(), " shards"));
  row("seed", text(info.at("seed").get<uint64_t>()));
  row("letter entropy", text(fixed(number("unigram_entropy"), 4), " nats"));
  row("baseline loss", text(fixed(number("baseline_loss"), 4), " nats (frequencies only, BERT's pattern)"));
  if (const std::string split = info.at("split"); !split.empty()) {
    row("holdout", split);
    row("eval length", text(info.at("eval_length").get<int64_t>(), " residues"));
  }
  row("hash", info.at("hash"));
  row("verified",
      info.at("verified").get<bool>() ? "every byte agrees with its checksum" : "no (give --verify)");
}

}  // namespace esmscale
