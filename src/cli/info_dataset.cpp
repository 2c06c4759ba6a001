#include "cli/info.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json_reader.h"
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

DatasetInfo::Prefix prefix_of(const std::string& name, const data::Dataset& dataset, int64_t sequences) {
  if (sequences < 1 || sequences > dataset.sequences())
    throw Error({.where = "--prefix",
                 .expected = text("1 to ", dataset.sequences(), ", the sequences of the data set"),
                 .found = std::to_string(sequences)});
  int64_t residues = 0;
  for (const uint32_t length : dataset.lengths().first(static_cast<size_t>(sequences))) residues += length;
  return {name, sequences, residues};
}

JsonReader manifest_reader(const DatasetInfo& info) {
  return {info.dataset.document(), (info.dataset.folder() / data::kManifestName).string()};
}

double mean_length(const data::DatasetManifest& manifest) {
  return static_cast<double>(manifest.residues) / static_cast<double>(manifest.sequences);
}

}  // namespace

bool is_dataset(const std::filesystem::path& path) {
  // Not by its manifest, which other folders have too, and a damaged or interrupted set may lack.
  for (const std::string& name : {data::file_name(data::FileKind::lengths),
                                  data::file_name(data::FileKind::index), std::string(data::kStageName)})
    if (std::filesystem::exists(path / name)) return true;
  return false;
}

DatasetInfo::DatasetInfo(const std::filesystem::path& path, bool verify, const std::vector<int64_t>& asked)
    : dataset(path), is_verified(verify) {
  if (verify) dataset.verify();
  for (const Sample& sample : kSamples)
    if (sample.sequences <= dataset.sequences())
      prefixes.push_back(prefix_of(sample.name, dataset, sample.sequences));
  for (const int64_t sequences : asked)
    prefixes.push_back(prefix_of(text("first ", sequences), dataset, sequences));
}

Json to_json(const DatasetInfo& info) {
  const data::DatasetManifest& manifest = info.dataset.manifest();
  const JsonReader document = manifest_reader(info);
  data::holdout_report_of(document.json(), info.dataset.folder());  // an Error where it is none
  Json prefixes = Json::array();
  for (const DatasetInfo::Prefix& prefix : info.prefixes)
    prefixes.push_back({{"name", prefix.name},
                        {"sequences", prefix.sequences},
                        {"residues", prefix.residues},
                        {"tokens", prefix.tokens()}});
  Json json = {{"kind", "dataset"},
               {"path", info.dataset.folder().string()},
               {"sequences", manifest.sequences},
               {"tokens", manifest.tokens},
               {"residues", manifest.residues},
               {"clusters", manifest.clusters},
               {"shards", manifest.shards},
               {"bytes", manifest.bytes},
               {"seed", manifest.seed},
               {"eval_length", manifest.eval_length},
               {"max_length", manifest.max_length},
               {"mean_length", mean_length(manifest)},
               {"residue_counts", letters(manifest)},
               {"unigram_entropy", manifest.unigram_entropy},
               {"baseline_loss", manifest.baseline_loss},
               {"hash", manifest.hash},
               {"split", manifest.split},
               {"provenance", document.object("provenance").json()},
               {"prefixes", std::move(prefixes)},
               {"verified", info.is_verified}};
  if (document.has("holdout_report")) json["holdout_report"] = document.at("holdout_report").json();
  return json;
}

void print(std::ostream& out, const DatasetInfo& info) {
  const data::DatasetManifest& manifest = info.dataset.manifest();
  const auto report = data::holdout_report_of(info.dataset.document(), info.dataset.folder());
  const auto row = [&](std::string_view name, const std::string& value) {
    out << name << std::string(std::max<size_t>(18, name.size() + 2) - name.size(), ' ') << one_line(value)
        << "\n";
  };
  row("data set", info.dataset.folder().string());
  row("sequences", std::to_string(manifest.sequences));
  if (manifest.clusters > 0)
    row("clusters", text(manifest.clusters, "  (an epoch trains one member of each)"));
  row("residues", text(manifest.residues, "  (mean ", fixed(mean_length(manifest), 1), ", longest ",
                       manifest.max_length, ")"));
  row("tokens", text(manifest.tokens, "  (with START and END)"));
  row("on disk", text(human_bytes(static_cast<double>(manifest.bytes)), " in ", manifest.shards, " shards"));
  row("seed", text(manifest.seed));
  row("letter entropy", text(fixed(manifest.unigram_entropy, 4), " nats"));
  row("baseline loss", text(fixed(manifest.baseline_loss, 4), " nats (frequencies only, BERT's pattern)"));
  if (!manifest.split.empty()) {
    row("holdout", manifest.split);
    row("eval length", text(manifest.eval_length, " residues"));
  }
  if (report) {
    row("checked against", report->training_hash);
    row("largest identity", text(report->largest_identity));
  }
  for (const DatasetInfo::Prefix& prefix : info.prefixes)
    row(prefix.name,
        text(prefix.sequences, " sequences, ", human_count(static_cast<double>(prefix.tokens())), " tokens"));
  row("hash", manifest.hash);
  row("verified", info.is_verified ? "every byte agrees with its checksum" : "no (give --verify)");
}

}  // namespace esmscale::cli
