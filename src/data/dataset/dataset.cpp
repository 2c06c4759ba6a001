#include "esmscale/data/dataset/dataset.h"

#include "data/dataset/reader.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/dataset/manifest.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace esmscale::data {
namespace {

constexpr double kShown = 0.2;  // of BERT's chosen positions, those that show a letter
constexpr double kUniform = 1.0 / kStandardLetters;

double minus_p_log_p(double p) {
  return p > 0 ? -p * std::log(p) : 0;
}

std::vector<double> standard_frequencies(std::span<const int64_t> residue_counts) {
  std::vector<double> p(residue_counts.begin(), residue_counts.begin() + kStandardLetters);
  double total = 0;
  for (const double count : p) total += count;
  for (double& value : p) value = total > 0 ? value / total : 0;
  return p;
}

}  // namespace

double unigram_entropy(std::span<const int64_t> residue_counts) {
  double entropy = 0;
  for (const double p : standard_frequencies(residue_counts)) entropy += minus_p_log_p(p);
  return entropy;
}

double bert_baseline_loss(std::span<const int64_t> residue_counts) {
  if (unigram_entropy(residue_counts) == 0) return 0;  // one letter or none: nothing is to be guessed
  // Half of the letters shown are the true ones, half are drawn evenly: H(t|s) = H(t, s) − H(s).
  double joint = 0, shown = 0;
  const std::vector<double> p = standard_frequencies(residue_counts);
  for (size_t s = 0; s < p.size(); ++s) {
    shown += minus_p_log_p(0.5 * p[s] + 0.5 * kUniform);
    for (size_t t = 0; t < p.size(); ++t)
      joint += minus_p_log_p((s == t ? 0.5 * p[s] : 0) + 0.5 * p[t] * kUniform);
  }
  return (1 - kShown) * unigram_entropy(residue_counts) + kShown * (joint - shown);
}

Dataset::Impl::Impl(const std::filesystem::path& where, ReadBytes with)
    : folder(where),
      read(std::move(with)),
      document(read_manifest(where)),
      manifest(manifest_of(document, where)),
      files(files_of(document, where)) {
  if (!read)
    read = [](int descriptor, std::span<std::byte> into, uint64_t offset) {
      return ::pread(descriptor, into.data(), into.size(), static_cast<off_t>(offset));
    };
  for (const FileRecord& record : files) open(record);
  check_whole();
}

void Dataset::Impl::open(const FileRecord& record) {
  switch (record.kind) {
    case FileKind::shard:
      shards.push_back(std::make_unique<FrameFile>(folder, record, read));
      break;
    case FileKind::identifiers:
      identifiers = std::make_unique<FrameFile>(folder, record, read);
      break;
    case FileKind::lengths:
      lengths = MappedPayload(folder, record);
      break;
    case FileKind::index:
      index = MappedPayload(folder, record);
      break;
    case FileKind::clusters:
      clusters = MappedPayload(folder, record);
      clusters.check_payload(record);  // 8 bytes a cluster decide what is trained
      break;
    case FileKind::fingerprints:
      fingerprints = std::make_unique<FrameFile>(folder, record, read);
      break;
  }
}

void Dataset::Impl::check_whole() const {
  const auto n = static_cast<uint64_t>(manifest.sequences);
  std::array<uint64_t, 7> items{};
  for (const FileRecord& record : files) items[static_cast<size_t>(record.kind)] += record.items;
  const auto count = [&](FileKind kind) { return items[static_cast<size_t>(kind)]; };
  const bool counts_agree = identifiers && fingerprints && count(FileKind::lengths) == n &&
                            count(FileKind::identifiers) == n && count(FileKind::fingerprints) == n &&
                            count(FileKind::index) == count(FileKind::shard) &&
                            count(FileKind::clusters) == static_cast<uint64_t>(manifest.clusters);
  if (!counts_agree || n == 0)
    throw Error({.where = (folder / kManifestName).string(),
                 .expected = text("files that hold ", n, " sequences, at least one"),
                 .found = "other counts",
                 .advice = "prepare the data set again"});
}

int64_t Dataset::Impl::frame_of(int64_t sequence) const {
  const auto wanted = static_cast<uint64_t>(sequence);
  if (sequence < 0 || sequence >= manifest.sequences)
    throw Error({.where = folder.string(),
                 .expected = text("a sequence below ", manifest.sequences),
                 .found = text(sequence)});
  const std::span<const FrameEntry> all = frames();
  const auto after =
      std::upper_bound(all.begin(), all.end(), wanted,
                       [](uint64_t s, const FrameEntry& entry) { return s < entry.first_sequence; });
  const int64_t frame = std::max<int64_t>(0, after - all.begin() - 1);
  const FrameEntry& entry = all[static_cast<size_t>(frame)];
  const bool holds = wanted >= entry.first_sequence && wanted - entry.first_sequence < entry.sequences &&
                     entry.first_sequence + entry.sequences <= static_cast<uint64_t>(manifest.sequences) &&
                     entry.shard < shards.size();
  if (!holds || entry.entry_checksum != checksum_of(entry))
    throw Error({.where = index.path().string(),
                 .expected = text("a whole entry for sequence ", sequence),
                 .found = text("a damaged one, of frame ", frame),
                 .advice = "copy the data set again"});
  return frame;
}

Dataset::Dataset(const std::filesystem::path& folder, ReadBytes read)
    : impl_(std::make_unique<Impl>(folder, std::move(read))) {}
Dataset::~Dataset() = default;
Dataset::Dataset(Dataset&&) noexcept = default;

const DatasetManifest& Dataset::manifest() const {
  return impl_->manifest;
}

const Json& Dataset::document() const {
  return impl_->document;
}

const std::filesystem::path& Dataset::folder() const {
  return impl_->folder;
}

std::span<const uint32_t> Dataset::lengths() const {
  return impl_->lengths.items<uint32_t>();
}

SequenceRange Dataset::cluster(int64_t i) const {
  if (i < 0 || i >= epoch_sequences())
    throw Error({.where = folder().string(),
                 .expected = text("a cluster below ", epoch_sequences()),
                 .found = text(i)});
  if (manifest().clusters == 0) return {i, 1};
  const std::span<const uint64_t> begins = impl_->clusters.items<uint64_t>();
  const auto place = static_cast<size_t>(i);
  const auto all = static_cast<uint64_t>(sequences());
  const uint64_t begin = begins[place], end = place + 1 < begins.size() ? begins[place + 1] : all;
  if (begin >= end || end > all || (i == 0 && begin != 0))
    throw Error({.where = impl_->clusters.path().string(),
                 .expected = text("a first sequence for cluster ", i, " below that of the next one"),
                 .found = text(begin, ", then ", end),
                 .advice = "prepare the data set again"});
  return {static_cast<int64_t>(begin), static_cast<int64_t>(end - begin)};
}

void Dataset::verify() const {
  std::vector<std::byte> piece(1 << 20);
  for (const FileRecord& record : impl_->files) {
    const FrameFile file(impl_->folder, record, impl_->read);
    RunningChecksum checksum;
    for (uint64_t at = sizeof(FileHeader); at < record.bytes;) {
      const auto bytes = std::span(piece).first(std::min<uint64_t>(piece.size(), record.bytes - at));
      file.read_at(at, bytes);
      checksum.add(bytes);
      at += bytes.size();
    }
    require_payload_checksum(checksum.hex(), record, file.path());
  }
}

}  // namespace esmscale::data
