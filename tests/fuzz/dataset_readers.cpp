// The readers of data sets, and of what prepare makes them from.
#include "data/prepare/clusters.h"
#include "data/prepare/excluded.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/dataset/format.h"
#include "esmscale/data/dataset/manifest.h"
#include "esmscale/data/fasta/fasta.h"
#include "esmscale/data/prepare/prepare.h"
#include "fuzz/reader.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

namespace esmscale::fuzz {
namespace {

namespace fs = std::filesystem;
using Kind = data::FileKind;

constexpr int64_t kMostRead = 1000;       // sequences, and clusters
constexpr int64_t kListMemory = 1 << 20;  // bytes

void read_dataset(const fs::path& folder) {
  const data::Dataset dataset(folder);
  data::SequenceReader reader(dataset);
  for (int64_t s = 0; s < std::min(dataset.sequences(), kMostRead); ++s) {
    reader.residues(s);
    reader.identifier(s);
  }
  for (int64_t i = 0; i < std::min(dataset.epoch_sequences(), kMostRead); ++i) dataset.cluster(i);
  data::find_overlap(dataset, dataset, dataset.epoch_sequences());
  dataset.verify();
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

template <class Change>
std::string with_header(std::string content, Change&& change) {
  data::FileHeader header;
  if (content.size() < sizeof header) return content;
  std::memcpy(&header, content.data(), sizeof header);
  change(header);
  header.header_checksum = data::checksum_of(header);
  std::memcpy(content.data(), &header, sizeof header);
  return content;
}

std::string sealed_header(std::string content) {
  return with_header(std::move(content), [](data::FileHeader&) {});
}

void write(const fs::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

// A data set whose clusters were changed, with the sums and counts that they have now: those of the header
// and of the manifest would refuse every other file.
void read_clusters(const fs::path& folder) {
  const fs::path file = folder / data::file_name(Kind::clusters), manifest = folder / data::kManifestName;
  const std::string content = read_file(file);
  const size_t payload = content.size() - std::min(content.size(), sizeof(data::FileHeader));
  const std::string checksum = checksum_hex(std::string_view(content).substr(content.size() - payload));
  const uint64_t items = payload / sizeof(uint64_t);
  write(file, with_header(content, [&](data::FileHeader& header) {
          header.items = items;
          header.payload_bytes = payload;
          checksum.copy(header.payload_checksum, sizeof header.payload_checksum);
        }));
  Json json = Json::parse(read_file(manifest));
  json["content"]["clusters"] = items;
  for (Json& entry : json["content"]["files"])
    if (entry["kind"] == "clusters")
      entry.update({{"bytes", content.size()}, {"items", items}, {"payload_checksum", checksum}});
  write(manifest, sealed_manifest(to_text(json)));
  read_dataset(folder);
}

void read_records(data::RecordReader& reader) {
  for (data::FastaRecord record; reader.next(record);) continue;
}

void read_fasta(const fs::path& folder) {
  data::FastaCounts counts;
  data::FastaReader reader(folder / "in.fasta", counts);
  read_records(reader);
}

void read_table(const fs::path& folder) {
  data::FastaCounts counts;
  read_records(*data::open_sequences(folder / "in.table", counts, {.sequence = "seq", .identifier = "id"}));
}

void read_members(const fs::path& folder) {
  const data::ClusterMembers members(folder / "members.tsv", kListMemory);
  members.is_name_of_its_cluster("p1");
}

void read_excluded(const fs::path& folder) {
  const data::ExcludedIdentifiers excluded(folder / "exclude.txt", kListMemory);
  excluded.contains("p1");
}

void read_holdout_report(const fs::path& folder) {
  data::attach_holdout_report(folder, read_json(folder / "report.json"));
  data::holdout_report_of(data::read_manifest(folder), folder);
}

}  // namespace

std::vector<Reader> dataset_readers() {
  return {
      {"manifest", "dataset", std::string(data::kManifestName), read_dataset, sealed_manifest},
      {"shard", "dataset", data::file_name(Kind::shard), read_dataset, sealed_header},
      {"index", "dataset", data::file_name(Kind::index), read_dataset, with_sealed_records<data::FrameEntry>},
      {"lengths", "dataset", data::file_name(Kind::lengths), read_dataset, sealed_header},
      {"identifiers", "dataset", data::file_name(Kind::identifiers), read_dataset, sealed_header},
      {"fingerprints", "dataset", data::file_name(Kind::fingerprints), read_dataset,
       with_sealed_records<data::FingerprintBlock>},
      {"clusters", "dataset", data::file_name(Kind::clusters), read_clusters},
      {"holdout-report", "holdout_report", "report.json", read_holdout_report},
      {"fasta", "fasta", "in.fasta", read_fasta},
      {"sequence-table", "sequence_table", "in.table", read_table},
      {"cluster-members", "cluster_members", "members.tsv", read_members},
      {"excluded", "excluded", "exclude.txt", read_excluded},
  };
}

}  // namespace esmscale::fuzz
