// The input of prepare: every file's records, filtered, counted and shuffled; duplicates found in bounded
// memory.
#pragma once

#include "data/dataset/fingerprint_sorter.h"
#include "data/prepare/clusters.h"
#include "data/prepare/excluded.h"
#include "data/prepare/records.h"
#include "esmscale/core/json.h"
#include "esmscale/core/thread_pool.h"
#include "esmscale/data/fasta/fasta.h"
#include "esmscale/data/prepare/prepare.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::data {

class Intake {
 public:
  // `memory`: bytes for records and for sorting, in all. `excluded` and `clusters` must outlive it.
  Intake(const PrepareOptions& options, const ExcludedIdentifiers& excluded, const ClusterMembers& clusters,
         const std::filesystem::path& temporary, uint64_t memory, ThreadPool& workers);

  // All inputs. Error when there is a list of identifiers to leave out and no record has one of them, unless
  // options.allow_missing.
  void read();

  // After read(): finds sequences (with --deduplicate) and identifiers that occur more than once, and counts
  // the clusters of what is kept.
  void find_duplicates();

  int64_t kept() const { return stored_ - duplicates_; }
  // What is shuffled, held out and limited: clusters, or kept sequences.
  int64_t units() const { return cluster_keys_ ? clusters_ : kept(); }
  // Residues of what is kept, about: duplicates are taken to be of mean length.
  double residues_kept() const;

  // The kept records in shuffled order; once. Members of a cluster have one key and follow one another.
  void for_each(const std::function<void(const RecordView&)>& visit);

  // After for_each(): what was read, and how many of each case. `warnings` are for the user.
  NamedCounts counts() const;
  int64_t records() const { return fasta_.records; }
  std::vector<std::string> warnings() const;
  int64_t raw_bytes() const { return raw_bytes_; }    // of the inputs, as stored
  int64_t text_bytes() const { return text_bytes_; }  // of FASTA, decompressed
  int64_t spilled_bytes() const;

 private:
  void read_file(const std::string& path, const std::function<void(uint64_t raw_bytes)>& show);
  void add(const FastaRecord& record);
  uint64_t key_of(uint64_t ordinal, std::string_view identifier) const;
  void sample(const FastaRecord& record);
  void require_exclusions() const;
  void require_members() const;
  void count_clusters();
  double share_of(std::string_view letters) const;  // among the sampled residues; 0 without any
  std::string warning_of_other_letters() const;     // DNA, or Foldseek's states; "" if neither
  bool is_dropped(uint64_t ordinal) const;

  const PrepareOptions& options_;
  const ExcludedIdentifiers& excluded_identifiers_;
  const ClusterMembers& members_;
  ShuffledRecords records_;
  FingerprintSorter identifier_hashes_;
  std::optional<FingerprintSorter> residue_hashes_;  // with --deduplicate
  std::optional<FingerprintSorter> cluster_keys_;    // with --clusters
  FastaCounts fasta_;
  std::string first_identifier_;  // of the first record
  int64_t excluded_ = 0, too_short_ = 0, stored_ = 0, residues_ = 0, duplicates_ = 0,
          repeated_identifiers_ = 0, clusters_ = 0, unclustered_ = 0;
  std::optional<uint64_t> repeated_ordinal_;  // of the first record that repeats an identifier
  std::string repeated_identifier_;
  std::vector<bool> dropped_;           // by ordinal; empty: none
  std::array<int64_t, 256> sampled_{};  // letter codes of the first records
  int64_t sampled_residues_ = 0;
  int64_t raw_bytes_ = 0, text_bytes_ = 0;
};

}  // namespace esmscale::data
