#include "data/prepare/intake.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/random.h"
#include "esmscale/core/text.h"
#include "esmscale/data/alphabet.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::data {
namespace {

// Shares of the memory. Records and sorting use memory at the same time while reading.
constexpr double kForRecords = 0.62, kForIdentifiers = 0.08, kForResidues = 0.12, kForClusters = 0.08;
constexpr int64_t kSampledResidues = 1'000'000;
constexpr double kDnaShare = 0.95;  // of A C G T U N; in proteins these are a quarter
// The share of D, P and V. By the background frequencies of Foldseek's matrix of 3Di states they are 0.40, in
// proteins 0.17.
constexpr double k3DiShare = 0.3;
constexpr int64_t kResiduesFor3Di = 500;
constexpr double kLowerCaseShare = 0.4;  // masked regions are less; SaProt writes 3Di states so, half of all
constexpr int64_t kRecordsPerUpdate = 1024;

uint64_t share(uint64_t memory, double part) {
  return static_cast<uint64_t>(static_cast<double>(memory) * part);
}

}  // namespace

Intake::Intake(const PrepareOptions& options, const ExcludedIdentifiers& excluded,
               const ClusterMembers& clusters, const std::filesystem::path& temporary, uint64_t memory,
               ThreadPool& workers)
    : options_(options),
      excluded_identifiers_(excluded),
      members_(clusters),
      records_(
          temporary, [this](uint64_t ordinal, std::string_view name) { return key_of(ordinal, name); },
          share(memory, kForRecords), workers),
      identifier_hashes_(temporary / "identifiers", share(memory, kForIdentifiers)) {
  if (options.deduplicate) residue_hashes_.emplace(temporary / "residues", share(memory, kForResidues));
  if (!clusters.empty()) cluster_keys_.emplace(temporary / "clusters", share(memory, kForClusters));
}

void Intake::read() {
  uint64_t total = 0, before = 0;
  for (const std::string& path : options_.inputs) total += input_bytes(path);
  const bool known = std::find(options_.inputs.begin(), options_.inputs.end(), "-") == options_.inputs.end();
  Progress progress("reading", known ? static_cast<double>(total) : 0, "B");
  for (const std::string& path : options_.inputs) {
    uint64_t here = 0;
    read_file(path, [&](uint64_t raw_bytes) {
      here = raw_bytes;
      progress.update(static_cast<double>(before + here),
                      text(human_count(static_cast<double>(stored_)), " sequences"));
    });
    before += here;
  }
  raw_bytes_ = static_cast<int64_t>(before);
  require_exclusions();
  require_members();
  progress.finish(
      text(fasta_.records, " records, ", human_bytes(static_cast<double>(text_bytes_)), " of FASTA"));
}

void Intake::read_file(const std::string& path, const std::function<void(uint64_t)>& show) {
  const auto reader = open_sequences(path, fasta_, options_.columns);
  FastaRecord record;
  while (reader->next(record)) {
    add(record);
    if (fasta_.records % kRecordsPerUpdate == 0) show(reader->raw_bytes());
  }
  show(reader->raw_bytes());
  text_bytes_ += static_cast<int64_t>(reader->text_bytes());
}

void Intake::require_exclusions() const {
  if (excluded_identifiers_.size() == 0 || excluded_ > 0 || options_.allow_missing) return;
  throw Error(
      {.where = options_.exclude.string(),
       .expected = "identifiers of the input, the first words of its headers",
       .found = text("none among ", excluded_identifiers_.size(), " ('", excluded_identifiers_.first(),
                     "', …), where the input has '", first_identifier_, "', …"),
       .advice = "write them as the headers do, or give --allow-missing"});
}

void Intake::require_members() const {
  if (members_.empty() || unclustered_ < stored_ || options_.allow_missing) return;
  throw Error(
      {.where = options_.clusters.string(),
       .expected = "members that are sequences of the input, by the first words of its headers",
       .found = text("none among ", members_.size(), ", where the input has '", first_identifier_, "', …"),
       .advice = "the second column holds the members; write them as the headers do"});
}

uint64_t Intake::key_of(uint64_t ordinal, std::string_view identifier) const {
  if (options_.keep_order) return ordinal;
  uint64_t subject = ordinal;
  if (!members_.empty()) subject = members_.cluster_of(identifier).value_or(checksum64(bytes_of(identifier)));
  return RandomStream(options_.seed, Purpose::shuffle, subject).next_u64();
}

void Intake::add(const FastaRecord& record) {
  if (first_identifier_.empty()) first_identifier_ = record.identifier;
  if (excluded_identifiers_.size() > 0 && excluded_identifiers_.contains(record.identifier)) {
    ++excluded_;
    return;
  }
  if (record.residues.empty()) return;  // counted by the reader
  if (static_cast<int64_t>(record.residues.size()) < options_.min_length) {
    ++too_short_;
    return;
  }
  // The ordinal counts all records: leaving some out leaves the order of the others alone.
  const auto ordinal = static_cast<uint64_t>(fasta_.records - 1);
  const uint64_t key = key_of(ordinal, record.identifier);
  records_.add({ordinal, record.identifier, record.residues, key});
  if (cluster_keys_) {
    cluster_keys_->add({key, ordinal});
    unclustered_ += !members_.cluster_of(record.identifier);
  }
  identifier_hashes_.add({checksum64(bytes_of(std::string_view(record.identifier))), ordinal});
  if (residue_hashes_) residue_hashes_->add({checksum64(std::as_bytes(std::span(record.residues))), ordinal});
  ++stored_;
  residues_ += static_cast<int64_t>(record.residues.size());
  if (sampled_residues_ < kSampledResidues) sample(record);
}

void Intake::sample(const FastaRecord& record) {
  for (const uint8_t code : record.residues) ++sampled_[code];
  sampled_residues_ += static_cast<int64_t>(record.residues.size());
}

bool Intake::is_dropped(uint64_t ordinal) const {
  return ordinal < dropped_.size() && dropped_[ordinal];
}

void Intake::find_duplicates() {
  // Equal hashes of 64 bits are taken for equal residues: among 64 million sequences the chance that any one
  // is dropped wrongly is 1 in 9,000.
  uint64_t previous = 0;
  bool any = false;
  if (residue_hashes_) {
    dropped_.resize(static_cast<size_t>(fasta_.records));
    residue_hashes_->for_each([&](const Fingerprint& f) {  // equal ones by ordinal: the first stays
      const bool repeats = any && f.hash == previous;
      dropped_[f.sequence] = repeats;
      duplicates_ += repeats;
      previous = f.hash;
      any = true;
    });
  }
  any = false;
  identifier_hashes_.for_each([&](const Fingerprint& f) {
    if (is_dropped(f.sequence)) return;
    if (any && f.hash == previous) {
      ++repeated_identifiers_;
      repeated_ordinal_ = std::min(repeated_ordinal_.value_or(f.sequence), f.sequence);
    }
    previous = f.hash;
    any = true;
  });
  if (cluster_keys_) count_clusters();
}

void Intake::count_clusters() {
  std::optional<uint64_t> previous;
  cluster_keys_->for_each([&](const Fingerprint& member) {
    if (is_dropped(member.sequence)) return;
    clusters_ += member.hash != previous;
    previous = member.hash;
  });
}

double Intake::residues_kept() const {
  return stored_ > 0
             ? static_cast<double>(residues_) * static_cast<double>(kept()) / static_cast<double>(stored_)
             : 0;
}

void Intake::for_each(const std::function<void(const RecordView&)>& visit) {
  records_.for_each([&](const RecordView& record) {
    if (is_dropped(record.ordinal)) return;
    if (record.ordinal == repeated_ordinal_) repeated_identifier_ = record.identifier;
    visit(record);
  });
}

int64_t Intake::spilled_bytes() const {
  return static_cast<int64_t>(records_.spilled_bytes() + identifier_hashes_.spilled_bytes() +
                              (residue_hashes_ ? residue_hashes_->spilled_bytes() : 0) +
                              (cluster_keys_ ? cluster_keys_->spilled_bytes() : 0));
}

NamedCounts Intake::counts() const {
  NamedCounts counts = fasta_.named();
  counts.insert(counts.end(), {{"excluded", excluded_},
                               {"too_short", too_short_},
                               {"duplicates_removed", duplicates_},
                               {"repeated_identifiers", repeated_identifiers_}});
  if (cluster_keys_) counts.insert(counts.end(), {{"clusters", clusters_}, {"unclustered", unclustered_}});
  return counts;
}

double Intake::share_of(std::string_view letters) const {
  int64_t count = 0;
  for (const char letter : letters) count += sampled_[letter_code(letter)];
  return sampled_residues_ > 0 ? static_cast<double>(count) / static_cast<double>(sampled_residues_) : 0;
}

std::string Intake::warning_of_other_letters() const {
  const double nucleotides = share_of("ACGTUN"), states = share_of("DPV");
  if (nucleotides >= kDnaShare)
    return text("the sequences look like DNA or RNA (", fixed(100 * nucleotides, 1),
                "% A, C, G, T, U or N): this program expects proteins");
  if (sampled_residues_ >= kResiduesFor3Di && states >= k3DiShare)
    return text("the sequences look like 3Di states of Foldseek (", fixed(100 * states, 1),
                "% D, P or V, in proteins 17%): this program expects amino acids");
  if (static_cast<double>(fasta_.lower_case) > kLowerCaseShare * static_cast<double>(residues_))
    return text(
        fasta_.lower_case,
        " residues are in lower case and are read as amino acids; Foldseek and SaProt write 3Di states "
        "so: remove those");
  return {};
}

std::vector<std::string> Intake::warnings() const {
  std::vector<std::string> warnings;
  if (std::string warning = warning_of_other_letters(); !warning.empty())
    warnings.push_back(std::move(warning));
  if (fasta_.empty > 0)
    warnings.push_back(
        text("records without residues were left out: ", fasta_.empty, ", the first ", fasta_.first_empty));
  if (repeated_identifiers_ > 0)
    warnings.push_back(text(repeated_identifiers_,
                            " sequences have an identifier that another one has already, the first '",
                            repeated_identifier_, "'"));
  if (unclustered_ > 0)
    warnings.push_back(text(unclustered_, " of ", stored_, " sequences are in no cluster of ",
                            options_.clusters.string(), ": each is a cluster of its own"));
  if (excluded_identifiers_.size() > static_cast<size_t>(excluded_))
    warnings.push_back(text("--exclude names ", excluded_identifiers_.size(), " identifiers, and only ",
                            excluded_, " sequences have one of them"));
  return warnings;
}

}  // namespace esmscale::data
