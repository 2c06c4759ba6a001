#include "data/prepare/clusters.h"

#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/core/utf8.h"
#include "esmscale/data/fasta/input.h"

#include <algorithm>
#include <functional>

namespace esmscale::data {
namespace {

constexpr size_t kLongestLine = 1 << 20;

uint64_t hash_of(std::string_view name) {
  if (is_utf8(name)) return checksum64(bytes_of(name));
  return checksum64(bytes_of(std::string_view(utf8_from_latin1(name))));
}

// Takes each line, without its end.
void for_each_line(const std::filesystem::path& table, const std::function<void(std::string_view)>& take) {
  InputFile file(table.string());
  std::string line;
  for (auto block = file.next(); !block.empty(); block = file.next()) {
    std::string_view rest(reinterpret_cast<const char*>(block.data()), block.size());
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      line += rest.substr(0, end);
      take(line);
      line.clear();
    }
    line += rest;
    if (line.size() > kLongestLine)
      throw Error({.where = table.string(),
                   .expected = "lines of a cluster and a member",
                   .found = text("a line of more than ", kLongestLine, " bytes")});
  }
  if (!line.empty()) take(line);
}

// Cluster and member of each line.
void for_each_member(const std::filesystem::path& table,
                     const std::function<void(std::string_view, std::string_view)>& take) {
  constexpr std::string_view kBlanks = " \t\r";
  size_t number = 0;
  for_each_line(table, [&](std::string_view line) {
    ++number;
    std::array<std::string_view, 2> words;
    size_t count = 0;
    for (size_t begin = 0; (begin = line.find_first_not_of(kBlanks, begin)) != std::string_view::npos;) {
      const size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
      if (count < words.size()) words[count] = line.substr(begin, end - begin);
      ++count;
      begin = end;
    }
    if (count == 0) return;
    if (count != words.size())
      throw Error({.where = text(table.string(), ", line ", number),
                   .expected = "two columns, a cluster and a member",
                   .found = text(count, count == 1 ? " column" : " columns"),
                   .advice = "MMseqs2's *_cluster.tsv is such a table"});
    take(words[0], words[1]);
  });
}

}  // namespace

ClusterMembers::ClusterMembers(const std::filesystem::path& table, int64_t memory) {
  if (table.empty()) return;
  for_each_member(table, [&](std::string_view cluster, std::string_view member) {
    members_.push_back({hash_of(member), hash_of(cluster)});
    if (static_cast<int64_t>(members_.capacity() * sizeof(Member)) > memory)
      throw Error({.where = table.string(),
                   .expected = text("members that take at most ", human_bytes(double(memory)),
                                    ", a part of --memory, at ", sizeof(Member), " bytes each"),
                   .found = text("more than ", members_.size() - 1),
                   .advice = "raise --memory"});
  });
  std::sort(members_.begin(), members_.end());
  members_.erase(std::unique(members_.begin(), members_.end()), members_.end());
  require_one_cluster_each(table);
}

void ClusterMembers::require_one_cluster_each(const std::filesystem::path& table) const {
  const auto twice =
      std::adjacent_find(members_.begin(), members_.end(),
                         [](const Member& a, const Member& b) { return a.identifier == b.identifier; });
  if (twice == members_.end()) return;
  std::vector<std::string> clusters;
  std::string name;
  for_each_member(table, [&](std::string_view cluster, std::string_view member) {
    if (hash_of(member) != twice->identifier) return;
    name = member;
    if (clusters.empty() || clusters.back() != cluster) clusters.emplace_back(cluster);
  });
  throw Error({.where = table.string(),
               .expected = text("one cluster for the member ", name),
               .found = join(clusters, ", ")});
}

std::optional<uint64_t> ClusterMembers::cluster_of(std::string_view identifier) const {
  const uint64_t hash = hash_of(identifier);
  const auto found = std::lower_bound(members_.begin(), members_.end(), Member{hash, 0});
  if (found == members_.end() || found->identifier != hash) return std::nullopt;
  return found->cluster;
}

bool ClusterMembers::is_name_of_its_cluster(std::string_view identifier) const {
  return cluster_of(identifier) == hash_of(identifier);
}

void Representatives::add(const RecordView& record, bool names_cluster) {
  if (key_ == record.key && !names_cluster) return;
  if (key_ != record.key) finish();
  key_ = record.key;
  identifier_ = record.identifier;
  residues_.assign(record.residues.begin(), record.residues.end());
}

void Representatives::finish() {
  if (key_) holdout_.add(identifier_, residues_);
  key_.reset();
}

}  // namespace esmscale::data
