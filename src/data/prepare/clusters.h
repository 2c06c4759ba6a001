// The clusters of prepare --clusters: which sequences belong together, and one of each for a holdout.
#pragma once

#include "data/dataset/writer.h"
#include "data/prepare/runs.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace esmscale::data {

// A table of two columns, cluster and member, between tabs or blanks, plain or compressed; MMseqs2's
// *_cluster.tsv is one. A cluster's identity is the XXH3-64 of its name; a member is kept as 16 bytes.
class ClusterMembers {
 public:
  // An empty path: no clusters. Error for a line without two columns, for a member of two clusters, and when
  // the members take more than `memory` bytes.
  ClusterMembers(const std::filesystem::path& table, int64_t memory);

  bool empty() const { return members_.empty(); }
  size_t size() const { return members_.size(); }  // members
  // nullopt: the table has no such member.
  std::optional<uint64_t> cluster_of(std::string_view identifier) const;
  bool is_name_of_its_cluster(std::string_view identifier) const;

 private:
  struct Member {
    uint64_t identifier, cluster;  // XXH3-64 of the names
    auto operator<=>(const Member&) const = default;
  };
  void require_one_cluster_each(const std::filesystem::path& table) const;

  std::vector<Member> members_;  // sorted
};

// Writes one sequence of each cluster to a holdout: the member that the cluster is named after, else the one
// that comes first in the input.
class Representatives {
 public:
  explicit Representatives(DatasetWriter& holdout) : holdout_(holdout) {}

  // Records of one cluster have one key and follow one another.
  void add(const RecordView& record, bool names_cluster);
  void finish();  // writes the last one

 private:
  DatasetWriter& holdout_;
  std::optional<uint64_t> key_;
  std::string identifier_;
  std::vector<uint8_t> residues_;
};

}  // namespace esmscale::data
