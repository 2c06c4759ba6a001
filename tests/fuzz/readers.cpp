// The readers of the rooms without LibTorch.
#include "esmscale/config/config.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/safetensors.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"
#include "esmscale/data/fasta/fasta.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/laws/points/points.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/state.h"
#include "fuzz/reader.h"

#include <cstring>

#include <nlohmann/json.hpp>

namespace esmscale::fuzz {
namespace {

namespace fs = std::filesystem;

void read_dataset(const fs::path& folder) {
  const data::Dataset dataset(folder);
  data::SequenceReader reader(dataset);
  const int64_t most = std::min<int64_t>(dataset.sequences(), 1000);
  for (int64_t s = 0; s < most; ++s) {
    reader.residues(s);
    reader.identifier(s);
  }
  data::find_overlap(dataset, dataset, dataset.sequences());
  dataset.verify();
}

void read_fasta(const fs::path& file) {
  data::FastaCounts counts;
  data::FastaReader reader(file, counts);
  for (data::FastaRecord record; reader.next(record);) continue;
}

void read_safetensors(const fs::path& file) {
  const SafetensorsFile tensors(file);
  for (const TensorEntry& entry : tensors.entries()) tensors.bytes(entry);
}

// The hash of the content, and the checksum of all.
std::string sealed_manifest(std::string content) {
  Json json = Json::parse(content, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("content")) return sealed_json(std::move(content));
  json["hash"] = checksum_hex(to_text(json["content"]));
  return sealed_json(to_text(json));
}

// A file of the data set, whose records begin after the header: each ends in a checksum of itself.
template <class Record>
std::string with_sealed_records(std::string content) {
  for (size_t at = sizeof(data::FileHeader); at + sizeof(Record) <= content.size(); at += sizeof(Record)) {
    Record record;
    std::memcpy(&record, content.data() + at, sizeof record);
    const uint64_t checksum = data::checksum_of(record);
    std::memcpy(content.data() + at + sizeof record - sizeof checksum, &checksum, sizeof checksum);
  }
  return content;
}

std::string sealed_header(std::string content) {
  data::FileHeader header;
  if (content.size() < sizeof header) return content;
  std::memcpy(&header, content.data(), sizeof header);
  header.header_checksum = data::checksum_of(header);
  std::memcpy(content.data(), &header, sizeof header);
  return content;
}

}  // namespace

std::vector<Reader> readers() {
  std::vector<Reader> all{
      {"config", "config", "config.json", [](const fs::path& f) { config::load_config(f / "config.json"); }},
      {"manifest", "dataset", "manifest.json", read_dataset, sealed_manifest},
      {"shard", "dataset", "shard-00000.zst", read_dataset, sealed_header},
      {"index", "dataset", "", read_dataset, with_sealed_records<data::FrameEntry>},
      {"lengths", "dataset", "", read_dataset, sealed_header},
      {"identifiers", "dataset", "", read_dataset, sealed_header},
      {"fingerprints", "dataset", "", read_dataset, with_sealed_records<data::FingerprintBlock>},
      {"safetensors", "safetensors", "tensors.safetensors",
       [](const fs::path& f) { read_safetensors(f / "tensors.safetensors"); }},
      {"fasta", "fasta", "in.fasta", [](const fs::path& f) { read_fasta(f / "in.fasta"); }},
      {"points", "points", "points.csv", [](const fs::path& f) { laws::read_points(f / "points.csv", {}); }},
      {"laws", "laws", "laws.json", [](const fs::path& f) { laws::read_laws(f / "laws.json"); }},
      {"study", "study", "study.json",
       [](const fs::path& f) {
         const study::Study study = study::read_study(f);
         study::status_of(study, study::StudyRecord{});
       }},
      {"state", "study", "state.json", [](const fs::path& f) { study::read_record(study::read_study(f)); },
       sealed_json},
      {"metrics", "run", "metrics.jsonl", [](const fs::path& f) { run::read_metrics(f / "metrics.jsonl"); }},
      {"environment", "run", "environment.json", [](const fs::path& f) { run::RunFolder(f).last_start(); }},
  };
  using Kind = data::FileKind;
  for (const auto& [name, kind] : {std::pair{"index", Kind::index},
                                   {"lengths", Kind::lengths},
                                   {"identifiers", Kind::identifiers},
                                   {"fingerprints", Kind::fingerprints}})
    for (Reader& reader : all)
      if (reader.name == name) reader.file = data::file_name(kind);
  return all;
}

}  // namespace esmscale::fuzz
