// Averages over assays, proteins and groups, as ProteinGym takes them.
#include "esmscale/assays/benchmark.h"
#include "esmscale/core/random.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::assays {
namespace {

double mean_of(std::span<const double> values) {
  if (values.empty()) return kUnknown;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

using Key = std::function<const std::string&(const BenchmarkEntry&)>;
using Figure = std::function<double(const AssayResult&)>;

// Means of the proteins of each group.
std::map<std::string, std::vector<double>> protein_means(std::span<const BenchmarkEntry> entries,
                                                         std::span<const AssayResult> results,
                                                         const Key& group, const Figure& figure) {
  std::map<std::string, std::map<std::string, std::vector<double>>> values;
  for (size_t i = 0; i < entries.size(); ++i)
    if (const double value = figure(results[i]); !group(entries[i]).empty() && !std::isnan(value))
      values[group(entries[i])][entries[i].protein].push_back(value);
  std::map<std::string, std::vector<double>> means;
  for (const auto& [name, proteins] : values)
    for (const auto& [protein, of_protein] : proteins) means[name].push_back(mean_of(of_protein));
  return means;
}

double resampled_mean(std::span<const double> values, RandomStream& random) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += values[random.below(static_cast<uint32_t>(values.size()))];
  return sum / static_cast<double>(values.size());
}

// Standard deviation of what the draws gave; NaN below two.
class Deviation {
 public:
  void add(double value) {
    ++count_;
    const double before = value - mean_;
    mean_ += before / count_;
    squares_ += before * (value - mean_);
  }
  double value() const { return count_ < 2 ? kUnknown : std::sqrt(squares_ / (count_ - 1)); }

 private:
  double count_ = 0, mean_ = 0, squares_ = 0;
};

// The groups of one kind, and under `all` the mean of the groups.
struct Grouped {
  std::map<std::string, GroupMean> groups;
  GroupMean all;
};

// Errors of the coefficients, from the means of the proteins by group. One protein does not show how proteins
// differ.
void set_errors(const std::map<std::string, std::vector<double>>& proteins, const BootstrapDraws& bootstrap,
                Grouped& grouped) {
  std::map<std::string, Deviation> deviations;
  Deviation of_all;
  for (int64_t draw = 0; draw < bootstrap.draws && !proteins.empty(); ++draw) {
    RandomStream random(bootstrap.seed, Purpose::bootstrap, static_cast<uint64_t>(draw));
    std::vector<double> means;
    for (const auto& [name, values] : proteins) {
      means.push_back(resampled_mean(values, random));
      deviations[name].add(means.back());
    }
    of_all.add(mean_of(means));
  }
  const auto is_known = [](const auto& group) { return group.second.size() > 1; };
  if (std::all_of(proteins.begin(), proteins.end(), is_known)) grouped.all.spearman.error = of_all.value();
  for (const auto& group : proteins) {
    GroupMean& mean = grouped.groups[group.first];
    if (is_known(group)) mean.spearman.error = deviations[group.first].value();
    mean.proteins = static_cast<int64_t>(group.second.size());
  }
}

Grouped grouped(std::span<const BenchmarkEntry> entries, std::span<const AssayResult> results, const Key& key,
                const BootstrapDraws& bootstrap) {
  Grouped grouped;
  const auto settle = [&](const Figure& figure, const std::function<void(GroupMean&, double)>& set) {
    std::vector<double> means;
    auto proteins = protein_means(entries, results, key, figure);
    for (const auto& [name, values] : proteins) {
      means.push_back(mean_of(values));
      set(grouped.groups[name], means.back());
    }
    set(grouped.all, mean_of(means));
    return proteins;
  };
  settle([](const AssayResult& r) { return r.ndcg; },
         [](GroupMean& mean, double value) { mean.ndcg = value; });
  settle([](const AssayResult& r) { return r.auc; }, [](GroupMean& mean, double value) { mean.auc = value; });
  const auto proteins = settle([](const AssayResult& r) { return r.spearman.value; },
                               [](GroupMean& mean, double value) { mean.spearman.value = value; });
  set_errors(proteins, bootstrap, grouped);
  std::set<std::string> all;
  for (size_t i = 0; i < entries.size(); ++i)
    if (!key(entries[i]).empty() && !std::isnan(results[i].spearman.value)) all.insert(entries[i].protein);
  grouped.all.proteins = static_cast<int64_t>(all.size());
  return grouped;
}

Json json_of(const GroupMean& mean) {
  return {{"spearman", mean.spearman.value},
          {"spearman_error", mean.spearman.error},
          {"ndcg", mean.ndcg},
          {"auc", mean.auc},
          {"proteins", mean.proteins}};
}

Json json_of(const std::map<std::string, GroupMean>& groups) {
  Json json = Json::object();
  for (const auto& [name, mean] : groups) json[name] = json_of(mean);
  return json;
}

}  // namespace

BenchmarkAverages averages_of(std::span<const BenchmarkEntry> entries, std::span<const AssayResult> results,
                              const BootstrapDraws& bootstrap) {
  const auto by = [&](const std::string BenchmarkEntry::*member) {
    return grouped(
        entries, results,
        [member](const BenchmarkEntry& entry) -> const std::string& { return entry.*member; }, bootstrap);
  };
  const Grouped by_type = by(&BenchmarkEntry::selection_type);
  return {.all = by_type.all,
          .by_selection_type = by_type.groups,
          .by_depth = by(&BenchmarkEntry::depth).groups,
          .by_taxon = by(&BenchmarkEntry::taxon).groups};
}

Json to_json(const BenchmarkAverages& averages) {
  Json json = json_of(averages.all);
  json["selection_type"] = json_of(averages.by_selection_type);
  json["msa_depth"] = json_of(averages.by_depth);
  json["taxon"] = json_of(averages.by_taxon);
  return json;
}

}  // namespace esmscale::assays
