#include "cli/info.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"
#include "esmscale/data/dataset/manifest.h"

#include <algorithm>
#include <array>
#include <ostream>
#include <string>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

Json letters(const data::DatasetManifest& manifest) {
  Json counts = Json::object();
  for (size_t code = 0; code < data::kLetters.size(); ++code)
    counts[std::string(1, data::kLetters[code])] = manifest.residue_counts[code];
  return counts;
}

// The samples of arXiv 2406.07249: as many sequences of UniRef50 as its clusterings at 40%, 30% and 20% have.
struct Sample {
  const char* name;
  int64_t sequences;
};
constexpr std::array kSamples{Sample{"Sampled20", 20'000'000}, Sample{"Sampled23", 23'000'000},
                              Sample{"Sampled30", 30'000'000}};

Json prefix_json(const std::string& name, const data::Dataset& dataset, int64_t sequences) {
  if (sequences < 1 || sequences > dataset.sequences())
    throw Error({.where = "--prefix",
                 .expected = text("1 to ", dataset.sequences(), ", the sequences of the data set"),
                 .found = std::to_string(sequences)});
  int64_t residues = 0;
  for (const uint32_t length : dataset.lengths().first(static_cast<size_t>(sequences))) residues += length;
  return {
      {"name", name}, {"sequences", sequences}, {"residues", residues}, {"tokens", residues + 2 * sequences}};
}

Json prefixes_json(const data::Dataset& dataset, const std::vector<int64_t>& asked) {
  Json prefixes = Json::array();
  for (const Sample& sample : kSamples)
    if (sample.sequences <= dataset.sequences())
      prefixes.push_back(prefix_json(sample.name, dataset, sample.sequences));
  for (const int64_t sequences : asked)
    prefixes.push_back(prefix_json(text("first ", sequences), dataset, sequences));
  return prefixes;
}

}  // namespace

bool is_dataset(const std::filesystem::path& path) {
  // Not by its manifest, which other folders have too, and a damaged or interrupted set may lack.
  for (const std::string& name : {data::file_name(data::FileKind::lengths),
                                  data::file_name(data::FileKind::index), std::string(data::kStageName)})
    if (std::filesystem::exists(path / name)) return true;
  return false;
}

Json dataset_info(const std::filesystem::path& path, bool verify, const std::vector<int64_t>& prefixes) {
  const data::Dataset dataset(path);
  if (verify) dataset.verify();
  const data::DatasetManifest& manifest = dataset.manifest();
  const Json& document = dataset.document();
  Json info = {
      {"kind", "dataset"},
      {"path", path.string()},
      {"sequences", manifest.sequences},
      {"tokens", manifest.tokens},
      {"residues", manifest.residues},
      {"clusters", manifest.clusters},
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
      {"prefixes", prefixes_json(dataset, prefixes)},
      {"verified", verify}};
  if (document.contains("holdout_report")) info["holdout_report"] = document["holdout_report"];
  return info;
}

void print_dataset_info(std::ostream& out, const Json& info) {
  const auto number = [&](const char* key) { return info.at(key).get<double>(); };
  const auto row = [&](std::string_view name, const std::string& value) {
    out << name << std::string(std::max<size_t>(18, name.size() + 2) - name.size(), ' ') << value << "\n";
  };
  row("data set", info.at("path"));
  row("sequences", text(info.at("sequences").get<int64_t>()));
  if (const int64_t clusters = info.at("clusters").get<int64_t>(); clusters > 0)
    row("clusters", text(clusters, "  (an epoch trains one member of each)"));
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
  if (info.contains("holdout_report")) {
    const Json& report = info.at("holdout_report");
    row("checked against", report.at("training_hash"));
    row("largest identity", to_text(report.at("largest_identity")));
  }
  for (const Json& prefix : info.at("prefixes"))
    row(prefix.at("name").get<std::string>(),
        text(prefix.at("sequences").get<int64_t>(), " sequences, ",
             human_count(prefix.at("tokens").get<double>()), " tokens"));
  row("hash", info.at("hash"));
  row("verified",
      info.at("verified").get<bool>() ? "every byte agrees with its checksum" : "no (give --verify)");
}

}  // namespace esmscale::cli
